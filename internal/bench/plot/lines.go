package plot

import (
	"fmt"
	"math"
	"strings"
)

// Lines are curves over a common axis.
type Lines struct {
	X      string   `json:"x"`               // What the lower axis shows, with its unit.
	Ticks  []Tick   `json:"ticks,omitempty"` // Of the lower axis.
	Y      string   `json:"y"`               // What the other axis shows, with its unit.
	LogY   bool     `json:"log_y,omitempty"` // Otherwise it begins with 0.
	Series []Series `json:"series"`
}

// Tick is a mark on an axis: where, in the units of the points, and what it says.
type Tick struct {
	At    float64 `json:"at"`
	Label string  `json:"label"`
}

// Series is one curve.
type Series struct {
	Name   string  `json:"name"`
	Points []Point `json:"points"`
}

// Point is one of a curve; where Low and High differ, a whisker is drawn.
type Point struct {
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
}

var seriesColors = []string{"c0", "c1", "c2", "c3"}

// frame is where on the picture a chart's numbers lie.
type frame struct {
	left, right, top, bottom float64
	minX, maxX, minY, maxY   float64
	log                      bool
}

func (f *frame) x(v float64) float64 {
	return f.left + (f.right-f.left)*(v-f.minX)/math.Max(f.maxX-f.minX, 1e-9)
}

func (f *frame) y(v float64) float64 {
	if f.log {
		return f.bottom - (f.bottom-f.top)*math.Log(max(v, f.minY)/f.minY)/math.Log(f.maxY/f.minY)
	}
	return f.bottom - (f.bottom-f.top)*v/f.maxY
}

const (
	linesHeight = 250
	lowest      = 1e-5 // Of the highest point: no logarithmic axis goes further down.
)

func (l *Lines) draw(d *drawing) (height float64) {
	colors, names := make([]string, len(l.Series)), make([]string, len(l.Series))
	for i := range l.Series {
		colors[i], names[i] = seriesColors[i%len(seriesColors)], l.Series[i].Name
	}
	y0 := float64(titleSize)
	if len(l.Series) > 1 {
		y0 = d.legend(y0, names, colors) + 4
	}
	d.text("soft", "start", margin, y0+12, l.Y)
	f := l.frame(y0 + 26)
	l.axes(d, f)
	for i := len(l.Series) - 1; i >= 0; i-- { // the first on top
		l.Series[i].draw(d, f, colors[i])
	}
	var taken labels
	for i := range l.Series { // all points are in the way of what is written
		for _, p := range l.Series[i].Points {
			taken.add(f.x(p.X), f.y(p.Y), 5, 5)
		}
	}
	for i := range l.Series {
		l.Series[i].label(d, f, &taken, i == 0)
	}
	return f.bottom + axisSize
}

// frame fits all points into the picture.
func (l *Lines) frame(top float64) *frame {
	f := &frame{left: margin + 56, right: width - margin - 40, top: top, bottom: top + linesHeight, log: l.LogY,
		minX: math.Inf(1), maxX: math.Inf(-1), minY: math.Inf(1)}
	for _, s := range l.Series {
		for _, p := range s.Points {
			f.minX, f.maxX = min(f.minX, p.X), max(f.maxX, p.X)
			f.minY, f.maxY = min(f.minY, p.Y, orElse(p.Low, p.Y)), max(f.maxY, p.Y, p.High)
		}
	}
	for _, t := range l.Ticks {
		f.minX, f.maxX = min(f.minX, t.At), max(f.maxX, t.At)
	}
	// A logarithmic axis has no place for 0 and what is below, such as the delay of an event that arrives before its COMMIT
	// returns: that stands at the lower edge.
	if f.maxY = max(f.maxY, lowest); l.LogY {
		f.minY = min(max(f.minY, f.maxY*lowest), f.maxY)
	}
	if room := 0.06 * (f.maxX - f.minX); len(l.Ticks) > 0 {
		f.minX, f.maxX = f.minX-room, f.maxX+room
	}
	return f
}

func orElse(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}

func (l *Lines) axes(d *drawing, f *frame) {
	var marks []float64
	if l.LogY {
		marks = decades(f.minY, f.maxY)
		f.minY = marks[0]
	} else {
		marks = ticks(f.maxY*1.08, 5) // room for what is written above the highest point
	}
	f.maxY = marks[len(marks)-1]
	for _, v := range marks {
		d.line("grid", f.left, f.y(v), f.right, f.y(v))
		d.text("soft", "end", f.left-8, f.y(v)+4, mark(v))
	}
	for _, t := range l.Ticks {
		d.line("axis", f.x(t.At), f.bottom, f.x(t.At), f.bottom+5)
		d.text("soft", "middle", f.x(t.At), f.bottom+19, t.Label)
	}
	d.line("axis", f.left, f.bottom, f.right, f.bottom)
	d.text("soft", "end", f.right, f.bottom+38, l.X)
}

func (s *Series) draw(d *drawing, f *frame, color string) {
	var path strings.Builder
	for i, p := range s.Points {
		command := 'L'
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", command, f.x(p.X), f.y(p.Y))
	}
	fmt.Fprintf(&d.out, "<path style=\"fill:none;stroke:var(--%s);stroke-width:2.5;stroke-linejoin:round\" d=\"%s\"/>\n", color, path.String())
	for _, p := range s.Points {
		x := f.x(p.X)
		if p.High > p.Low {
			d.line("whisker", x, f.y(p.Low), x, f.y(p.High))
			d.line("whisker", x-4, f.y(p.Low), x+4, f.y(p.Low))
			d.line("whisker", x-4, f.y(p.High), x+4, f.y(p.High))
		}
		fmt.Fprintf(&d.out, "<circle style=\"fill:var(--%s)\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>\n", color, x, f.y(p.Y))
	}
}

// label writes what the points are, above or below them, or not at all where there is no room.
func (s *Series) label(d *drawing, f *frame, taken *labels, strong bool) {
	class := "halo soft"
	if strong {
		class = "halo"
	}
	for _, p := range s.Points {
		text := Number(p.Y)
		x, halfWidth := f.x(p.X), textWidth(text)/2
		for _, y := range []float64{f.y(max(p.Y, p.High)) - 13, f.y(min(p.Y, orElse(p.Low, p.Y))) + 15} {
			if y+8 < f.bottom && !taken.overlap(x, y, halfWidth, 7) {
				taken.add(x, y, halfWidth, 7)
				d.text(class, "middle", x, y+4, text)
				break
			}
		}
	}
}

// labels are boxes that are written in, by their middles.
type labels []struct{ x, y, halfWidth, halfHeight float64 }

func (l *labels) add(x, y, halfWidth, halfHeight float64) {
	*l = append(*l, struct{ x, y, halfWidth, halfHeight float64 }{x, y, halfWidth, halfHeight})
}

func (l *labels) overlap(x, y, halfWidth, halfHeight float64) bool {
	for _, o := range *l {
		if math.Abs(x-o.x) < halfWidth+o.halfWidth && math.Abs(y-o.y) < halfHeight+o.halfHeight {
			return true
		}
	}
	return false
}
