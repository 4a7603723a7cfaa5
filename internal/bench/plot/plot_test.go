package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/bench/plot"
)

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestBars(t *testing.T) {
	c := plot.Chart{Title: "Rates & <more>", Bars: &plot.Bars{Unit: "deliveries/s", Rows: []plot.Bar{
		{Name: "raw POSTs", Values: []float64{21000}, Low: 20000, High: 22000}, {Name: "relay", Values: []float64{12345}, Strong: true}}}}
	svg := c.SVG()
	wellFormed(t, svg)
	require.Contains(t, svg, ">12,345</text>")
	require.Contains(t, svg, ">25,000</text>", "the axis goes beyond the longest bar")
	require.Contains(t, svg, "Rates &amp; &lt;more&gt;")
	require.Contains(t, svg, "prefers-color-scheme: dark")
	require.NotContains(t, svg, "NaN")
}

func TestStackedBarsNameTheirParts(t *testing.T) {
	c := plot.Chart{Bars: &plot.Bars{Unit: "s", Parts: []string{"who sends", "Postgres", "receiver"}, Rows: []plot.Bar{{Name: "relay", Values: []float64{0.1, 0.2, 0.05}}}}}
	svg := c.SVG()
	wellFormed(t, svg)
	require.Contains(t, svg, ">Postgres</text>")
	require.Contains(t, svg, ">0.35</text>")
}

func TestLines(t *testing.T) {
	lines := &plot.Lines{X: "payload", Y: "deliveries/s", LogY: true, Ticks: []plot.Tick{{At: 0, Label: "0.2 KB"}, {At: 1, Label: "2 KB"}},
		Series: []plot.Series{{Name: "relay", Points: []plot.Point{{X: 0, Y: 9000, Low: 8000, High: 9500}, {X: 1, Y: 90}}}, {Name: "raw", Points: []plot.Point{{X: 0, Y: 20000}, {X: 1, Y: 1000}}}}}
	c := plot.Chart{Title: "By size", Lines: lines}
	svg := c.SVG()
	wellFormed(t, svg)
	for _, text := range []string{">10</text>", ">100,000</text>", ">0.2 KB</text>", ">relay</text>", ">9,000</text>"} {
		require.Contains(t, svg, text)
	}
	lines.LogY = false
	svg = c.SVG()
	wellFormed(t, svg)
	require.Contains(t, svg, ">0</text>")
	require.NotContains(t, svg, "NaN")
}

// What can't be on an axis must not keep anybody waiting for the chart.
func TestLogarithmicLinesWithoutPositiveValues(t *testing.T) {
	for _, points := range [][]plot.Point{{{X: 0, Y: -1}, {X: 1, Y: 10}}, {{X: 0, Y: 0}}, {{X: 0, Y: 5}}, nil} {
		c := plot.Chart{Lines: &plot.Lines{LogY: true, Series: []plot.Series{{Name: "a", Points: points}}}}
		svg := c.SVG()
		wellFormed(t, svg)
		require.NotContains(t, svg, "Inf")
		require.NotContains(t, svg, "NaN")
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0123: "0.012", 0.5: "0.50", 1: "1", 12.34: "12.3", 99.6: "100", 123.4: "123", 999.7: "1,000", 12345.6: "12,346"} {
		require.Equal(t, want, plot.Number(v))
	}
}
