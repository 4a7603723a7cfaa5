package console

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"

	"github.com/outboxrelay/relay/internal/store"
)

// drawing gathers an SVG. Numbers are ours; all text is escaped.
type drawing struct{ strings.Builder }

func (d *drawing) add(format string, args ...any) { _, _ = fmt.Fprintf(&d.Builder, format, args...) }

// html is the drawing as templates take it.
func (d *drawing) html() template.HTML { return template.HTML(d.String()) } //nolint:gosec // See drawing.

const (
	sparkBar    = 6 // Width of an hour, the gap included.
	sparkHeight = 32
)

// spark draws a webhook's last 24 hours: a bar for each, with what was accepted below what was not.
func spark(day *store.Day) template.HTML {
	if day == nil {
		day = &store.Day{}
	}
	most := int64(1)
	for _, hour := range day {
		most = max(most, hour.Attempts())
	}
	total := day.Total()
	var d drawing
	d.add(`<svg class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`, sparkBar*len(day), sparkHeight,
		html.EscapeString("Last 24 hours: "+outcomesText(total)))
	for i, hour := range day {
		d.add(`<g>`)
		if hour.Attempts() > 0 {
			d.add(`<title>%s: %s</title>`, hoursAgo(len(day)-1-i), html.EscapeString(outcomesText(hour)))
		}
		d.sparkBar(i*sparkBar, hour, most)
		d.add(`</g>`)
	}
	d.add(`</svg>`)
	return d.html()
}

// sparkBar draws one hour. Where it was tried at all there is something to see, however little it was.
func (d *drawing) sparkBar(x int, hour store.Outcomes, most int64) {
	const width, least = sparkBar - 1.5, 1.5
	d.add(`<rect class="c-none" x="%d" y="%d" width="%.1f" height="1"/>`, x, sparkHeight-1, width)
	y := float64(sparkHeight)
	failed := hour.Unreachable - hour.Retrying()
	for _, part := range []struct {
		class string
		n     int64
	}{{"accepted", hour.Accepted}, {"rejected", hour.Rejected}, {"unreachable", hour.Retrying()}, {"failed", failed}} {
		if part.n == 0 {
			continue
		}
		height := max(least, float64(part.n)/float64(most)*(sparkHeight-4*least))
		y -= height
		d.add(`<rect class="c-%s" x="%d" y="%.1f" width="%.1f" height="%.1f"/>`, part.class, x, y, width, height)
	}
}

func hoursAgo(n int) string {
	switch n {
	case 0:
		return "this hour"
	case 1:
		return "an hour ago"
	}
	return fmt.Sprintf("%d hours ago", n)
}

// outcomesText says counts in words.
func outcomesText(o store.Outcomes) string {
	if o.Attempts() == 0 {
		return "nothing sent"
	}
	text := number(o.Accepted) + " accepted"
	for _, part := range []struct {
		word string
		n    int64
	}{{"rejected", o.Rejected}, {"retrying", o.Retrying()}, {"failed", o.Failed}} {
		if part.n > 0 {
			text += ", " + number(part.n) + " " + part.word
		}
	}
	return text
}

// series is one line, or one layer of a stack; NaN is a gap.
type series struct {
	Name   string
	Class  string // Of the style sheet: c-accepted and so on.
	Values []float64
}

// chart is 60 minutes of something. The drawing has no text, so that it can be stretched; the page writes it beside.
type chart struct {
	Title, Help string
	Now         string   // The newest value, in words.
	Ticks       []string // What the lines across stand for, from the top.
	Series      []series
	Drawing     template.HTML
	Empty       bool
}

const (
	chartWidth  = 600
	chartHeight = 120
)

// top is the next round number above a value, half of which is round as well.
func top(value float64) float64 {
	if value <= 0 || math.IsNaN(value) {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(value)))
	for _, step := range []float64{1, 2, 4, 6, 8, 10} {
		if value <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

// stack draws bars of layers, one a minute.
func (c *chart) stack(say func(float64) string) {
	minutes := len(c.Series[0].Values)
	most := 0.0
	for i := range minutes {
		most = max(most, c.sum(i))
	}
	edge := top(most)
	c.Ticks, c.Empty = []string{say(edge), say(edge / 2), "0"}, most == 0
	d := c.begin()
	step := float64(chartWidth) / float64(minutes)
	for i := range minutes {
		y := float64(chartHeight)
		for _, s := range c.Series {
			height := s.Values[i] / edge * chartHeight
			y -= height
			if height > 0 {
				d.add(`<rect class="%s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`, s.Class, float64(i)*step, y, step-1, height)
			}
		}
	}
	c.end(d, say)
}

func (c *chart) sum(minute int) (sum float64) {
	for _, s := range c.Series {
		sum += s.Values[minute]
	}
	return sum
}

// lines draws a line for each series between the lowest and the highest tick; scale maps a value to a height from 0 to 1.
func (c *chart) lines(ticks []string, scale func(float64) float64, say func(float64) string) {
	c.Ticks, c.Empty = ticks, true
	d := c.begin()
	for _, s := range c.Series {
		step := float64(chartWidth) / float64(len(s.Values)-1)
		var points strings.Builder
		draws := 'M'
		for i, value := range s.Values {
			if math.IsNaN(value) {
				draws = 'M'
				continue
			}
			c.Empty = false
			y := chartHeight - 1 - min(max(scale(value), 0), 1)*(chartHeight-2)
			_, _ = fmt.Fprintf(&points, "%c%.2f %.2f", draws, float64(i)*step, y)
			if draws == 'M' { // A point on its own is seen too.
				_, _ = fmt.Fprintf(&points, "h1")
			}
			draws = 'L'
		}
		if points.Len() > 0 {
			d.add(`<path class="line %s" d="%s"/>`, s.Class, points.String())
		}
	}
	c.end(d, say)
}

// linear draws lines on a scale from 0 to an edge.
func (c *chart) linear(edge float64, say func(float64) string) {
	c.lines([]string{say(edge), say(edge / 2), "0"}, func(v float64) float64 { return v / edge }, say)
}

func (c *chart) begin() *drawing {
	var d drawing
	d.add(`<svg class="chart" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`, chartWidth, chartHeight,
		html.EscapeString(c.Title+" over the last hour; now "+c.Now))
	for i := range c.Ticks {
		y := float64(i) * chartHeight / float64(len(c.Ticks)-1)
		d.add(`<path class="grid" d="M0 %.1fH%d"/>`, min(max(y, 0.5), chartHeight-0.5), chartWidth)
	}
	return &d
}

// end lays a strip over each minute that says its values when it is pointed at.
func (c *chart) end(d *drawing, say func(float64) string) {
	minutes := len(c.Series[0].Values)
	step := float64(chartWidth) / float64(minutes)
	for i := range minutes {
		var words []string
		for _, s := range c.Series {
			if !math.IsNaN(s.Values[i]) {
				words = append(words, s.Name+" "+say(s.Values[i]))
			}
		}
		if len(words) > 0 {
			d.add(`<rect class="hover" x="%.2f" y="0" width="%.2f" height="%d"><title>%s: %s</title></rect>`, float64(i)*step, step,
				chartHeight, minutesAgo(minutes-1-i), html.EscapeString(strings.Join(words, ", ")))
		}
	}
	d.add(`</svg>`)
	c.Drawing = d.html()
}

func minutesAgo(n int) string {
	switch n {
	case 0:
		return "this minute"
	case 1:
		return "a minute ago"
	}
	return fmt.Sprintf("%d minutes ago", n)
}
