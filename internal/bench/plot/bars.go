package plot

// Bars are horizontal bars from 0 on, one a row; each may have several parts, one after the other.
type Bars struct {
	Unit  string   `json:"unit"`            // Of the axis.
	Parts []string `json:"parts,omitempty"` // What the parts are, where there are several.
	Rows  []Bar    `json:"rows"`
}

// Bar is one row.
type Bar struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"` // One for each part.
	Low    float64   `json:"low,omitempty"`
	High   float64   `json:"high,omitempty"` // Where Low and High differ, a whisker is drawn.
	Strong bool      `json:"strong,omitempty"`
}

const (
	barHeight = 22
	barPitch  = 32
	axisSize  = 48 // What the axis below takes of the height.
)

func (b *Bars) draw(d *drawing) (height float64) {
	top, longest := 0.0, 0.0
	for _, row := range b.Rows {
		top = max(top, row.High, row.sum())
		longest = max(longest, textWidth(row.Name))
	}
	y0 := float64(titleSize)
	if len(b.Parts) > 0 {
		y0 = d.legend(y0, b.Parts, partColors) + 6
	}
	marks := ticks(top, 6)
	left, right := margin+longest+10, float64(width-margin-24)
	at := func(v float64) float64 { return left + (right-left)*v/marks[len(marks)-1] }
	bottom := y0 + barPitch*float64(len(b.Rows))
	for _, v := range marks {
		d.line("grid", at(v), y0, at(v), bottom)
		d.text("soft", "middle", at(v), bottom+17, mark(v))
	}
	d.text("soft", "end", right, bottom+36, b.Unit)
	for i, row := range b.Rows {
		row.draw(d, y0+barPitch*float64(i)+(barPitch-barHeight)/2, left, at, len(b.Parts) > 0)
	}
	d.line("axis", left, y0, left, bottom)
	return bottom + axisSize
}

// partColors are those of sender, Postgres and receiver.
var partColors = []string{"c0", "c2", "rest", "c1"}

func (row *Bar) sum() (all float64) {
	for _, v := range row.Values {
		all += v
	}
	return all
}

func (row *Bar) draw(d *drawing, y, left float64, at func(float64) float64, parts bool) {
	d.text("", "end", left-10, y+barHeight/2+4.5, row.Name)
	begin := 0.0
	for i, v := range row.Values {
		color := "rest"
		if parts {
			color = partColors[i]
		} else if row.Strong {
			color = "c0"
		}
		d.rect(color, at(begin), y, at(begin+v)-at(begin), barHeight)
		begin += v
	}
	end := begin
	if row.High > row.Low {
		middle := y + barHeight/2
		d.line("whisker", at(row.Low), middle, at(row.High), middle)
		d.line("whisker", at(row.Low), middle-4, at(row.Low), middle+4)
		d.line("whisker", at(row.High), middle-4, at(row.High), middle+4)
		end = max(end, row.High)
	}
	label := Number(begin)
	if x := at(end) + 8; x+textWidth(label) < width-4 {
		d.text("halo", "start", x, y+barHeight/2+4.5, label)
	} else {
		d.text("halo", "end", at(min(begin, max(row.Low, begin*0.5)))-8, y+barHeight/2+4.5, label)
	}
}
