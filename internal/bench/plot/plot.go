// Package plot draws the charts of the documentation as SVG, for a page's light and dark alike.
package plot

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Chart is a picture with a title. Either Bars or Lines is set.
type Chart struct {
	File  string `json:"file"`  // Its name, ending in .svg.
	Title string `json:"title"` // Also what is read to who can't see it.
	Bars  *Bars  `json:"bars,omitempty"`
	Lines *Lines `json:"lines,omitempty"`
}

const (
	width     = 800 // GitHub shows a page about as wide.
	margin    = 16
	charWidth = 7.2 // Of the usual fonts at 13 px, on average and rather too much.
	titleSize = 44  // What the title takes of the height.
)

// style is what both kinds share. An SVG that is shown as an image follows the reader's system.
const style = `<style>
  svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; --ink: #1f2328; --soft: #59636e;
    --line: #d1d9e0; --paper: #ffffff; --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --rest: #8c959f }
  @media (prefers-color-scheme: dark) { svg { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --paper: #0d1117;
    --c0: #4493f8; --c1: #f0883e; --c2: #3fb950; --c3: #ab7df8; --rest: #6e7681 } }
  .paper { fill: var(--paper) } text { fill: var(--ink) } .title { font-size: 15px; font-weight: 600 } .soft { fill: var(--soft); font-size: 12px }
  .grid { stroke: var(--line) } .axis { stroke: var(--soft) } .whisker { stroke: var(--ink); stroke-width: 1.5; opacity: .75 }
  .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round }
</style>
`

// SVG draws the chart.
func (c *Chart) SVG() string {
	var d drawing
	height := 0.0
	switch {
	case c.Bars != nil:
		height = c.Bars.draw(&d)
	case c.Lines != nil:
		height = c.Lines.draw(&d)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-label="%s">
%s<rect class="paper" width="100%%" height="100%%" rx="6"/>
<text class="title" x="%d" y="27">%s</text>
%s</svg>
`, width, height, width, height, html.EscapeString(c.Title), style, margin, html.EscapeString(c.Title), d.out.String())
}

// drawing is the inside of an SVG.
type drawing struct{ out strings.Builder }

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2)
}

// text writes at a point; anchor is start, middle or end.
func (d *drawing) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(&d.out, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, anchor, x, y, html.EscapeString(text))
}

func (d *drawing) rect(color string, x, y, w, h float64) {
	fmt.Fprintf(&d.out, "<rect style=\"fill:var(--%s)\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", color, x, y, math.Max(w, 0.5), h)
}

// legend writes names with their colours below y, in as many rows as they take, and returns where it ends.
func (d *drawing) legend(y float64, names, colors []string) float64 {
	const row = 22
	x := float64(margin)
	for i, name := range names {
		if x > margin && x+18+textWidth(name) > width-margin {
			x, y = margin, y+row
		}
		d.rect(colors[i], x, y+2, 12, 12)
		d.text("", "start", x+18, y+12, name)
		x += 18 + textWidth(name) + 14
	}
	return y + row
}

func textWidth(text string) float64 { return charWidth * float64(utf8.RuneCountInString(text)) }

// ticks are round numbers from 0 to beyond top, about n of them.
func ticks(top float64, n int) []float64 {
	if !(top > 0) || math.IsInf(top, 0) { // nothing was measured
		return []float64{0, 1}
	}
	raw := top / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := unit * 10
	for _, f := range []float64{1, 2, 2.5, 5} {
		if unit*f >= raw {
			step = unit * f
			break
		}
	}
	all := []float64{0}
	for i := 1; all[len(all)-1] < top; i++ {
		all = append(all, float64(i)*step)
	}
	return all
}

// decades are powers of ten around low and high, which must be positive.
func decades(low, high float64) []float64 {
	var all []float64
	for e := int(math.Floor(math.Log10(low))); len(all) < 2 || all[len(all)-1] < high; e++ {
		all = append(all, math.Pow10(e))
	}
	return all
}

// mark prints what an axis says.
func mark(v float64) string {
	if v >= 1000 {
		return Thousands(int64(v + 0.5))
	}
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}

// Number prints three digits or so: 12,345, 123, 12.3, 1.23 and 0.012.
func Number(v float64) string {
	switch {
	case v >= 999.5:
		return Thousands(int64(v + 0.5))
	case v >= 99.5 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case v >= 9.95:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// Thousands prints 1234567 as 1,234,567.
func Thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return Thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
