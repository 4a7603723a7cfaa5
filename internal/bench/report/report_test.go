package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

func sample() *report.Report {
	grid := &report.Grid{Columns: []string{"", "deliveries/s", "idle", "CPU s"}}
	grid.Add("raw POSTs", &rounds.Spread{Median: 20000, Low: 19000, High: 21000}, nil, nil)
	grid.Add("relay", &rounds.Spread{Median: 12345.6, Low: 12345.6, High: 12345.6}, nil, &rounds.Spread{Median: 0.123, Low: 0.123, High: 0.123})
	return &report.Report{
		Machine: []string{"Machine   2 CPUs"},
		Sections: []*report.Section{
			{Name: "drain", About: "Draining", Grid: grid, At: time.Unix(0, 0), Seconds: 60, Load: "0.10",
				Figures: []report.Figure{
					report.Median("relay ÷ raw", rounds.Spread{Median: 0.513, Low: 0.4, High: 0.6}, "").Against(report.AtLeast(0.45)),
					{Name: "p99", Value: 12.34, Unit: "ms", Target: report.Below(10), Note: "slow"},
				},
				Notes:  []string{"Three rounds."},
				Charts: []plot.Chart{{File: "drain.svg", Title: "Draining", Bars: &plot.Bars{Unit: "s", Rows: []plot.Bar{{Name: "relay", Values: []float64{1}}}}}},
			},
			{Name: "memory", About: "Memory", Error: "relay ended", At: time.Unix(0, 0), Seconds: 1},
		},
	}
}

func TestText(t *testing.T) {
	var out strings.Builder
	require.NoError(t, sample().WriteText(&out))
	require.Equal(t, `Machine   2 CPUs

Draining
             deliveries/s            idle  CPU s
  raw POSTs  20,000 (19,000–21,000)
  relay      12,346                        0.12
  relay ÷ raw  0.51 (0.40–0.60)      ✓ ≥ 0.45
  p99          12.3              ms  ✗ < 10    slow
  Three rounds.

Memory
  not measured: relay ended

61 s in all
`, out.String())
}

func TestDocs(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, os.WriteFile(page, []byte("# Page\n<!-- bench machine --><!-- end machine -->\nProse.\n"+
		"<!-- bench drain -->\nold\n<!-- end drain -->\nMore.\n<!-- bench memory --><!-- end memory -->\n<!-- bench host -->kept<!-- end host -->\n"), 0o600))
	for range 2 { // the second time changes nothing
		require.NoError(t, sample().WriteDocs(page))
		got, err := os.ReadFile(page)
		require.NoError(t, err)
		require.Contains(t, string(got), `Prose.
<!-- bench drain -->

![Draining](performance/drain.svg)

|  | deliveries/s | CPU s |
| --- | ---: | ---: |
| raw POSTs | 20,000 (19,000–21,000) |  |
| relay | 12,346 | 0.12 |

|  |  | target |  |
| --- | ---: | --- | --- |
| relay ÷ raw | 0.51 (0.40–0.60) | ✓ ≥ 0.45 |  |
| p99 | 12.3 ms | ✗ < 10 | slow |

Three rounds.

<sub>Measured on 1970-01-01 in 60 s; load average in the minute before: 0.10.</sub>

<!-- end drain -->
More.
`)
		require.Contains(t, string(got), "<!-- bench host -->kept<!-- end host -->")
		require.NotContains(t, string(got), "old")
		require.NotContains(t, string(got), "| idle |", "an empty column is left out")
	}
	require.FileExists(t, filepath.Join(filepath.Dir(page), "performance", "drain.svg"))

	read, err := report.Read(report.Figures(page))
	require.NoError(t, err)
	require.Equal(t, sample().Sections[0].Grid, read.Sections[0].Grid)
}

func TestDocsWantAPlaceForEachSection(t *testing.T) {
	page := filepath.Join(t.TempDir(), "performance.md")
	require.NoError(t, os.WriteFile(page, []byte("<!-- bench drain --><!-- end drain -->"), 0o600))
	require.ErrorContains(t, sample().WriteDocs(page), "no place for memory")
}

func TestPutKeepsWhatWasNotMeasured(t *testing.T) {
	all := sample()
	all.Put(&report.Report{Machine: []string{"another"}, Sections: []*report.Section{
		{Name: "drain", Error: "broken"}, {Name: "memory", About: "Memory"}, {Name: "host"},
	}})
	require.Equal(t, []string{"another"}, all.Machine)
	require.Len(t, all.Sections, 3)
	require.Empty(t, all.Sections[0].Error, "what failed replaces nothing")
	require.Empty(t, all.Sections[1].Error)
	require.Equal(t, "host", all.Sections[2].Name)
}
