package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// color is an SGR parameter of the terminal; zero: none.
type color string

const (
	noColor color = ""
	red     color = "31"
	green   color = "32"
	yellow  color = "33"
	faint   color = "2"
)

func (c color) paint(s string) string {
	if c == noColor {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

func paintIf(colored bool, c color, s string) string {
	if !colored {
		return s
	}
	return c.paint(s)
}

// column is a column of a table.
type column struct {
	title   string
	min     int // How narrow it may get on a terminal; 0: it is never shortened.
	leaving int // On a terminal too narrow for all: 1 leaves first, then 2, …; 0 stays.
	right   bool
}

type cell struct {
	text  string
	color color
}

// table prints rows in aligned columns, fitted to the terminal. Columns in which every cell is empty are left out.
type table struct {
	columns []column
	rows    [][]cell

	// lastBelow puts the last column on a line of its own, below its row, on a terminal too narrow for all even when the
	// columns that leave before this one have left; 0: never.
	lastBelow int
}

func (t *table) add(cells ...cell) {
	for i := range cells {
		cells[i].text = printable(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

const (
	columnGap = 2

	// mostPadded is how wide a column gets where nothing is shortened: most URLs and every id are within it. A longer cell
	// moves the rest of its own row alone.
	mostPadded = 48
)

// write prints the table to a terminal of that width; 0: no terminal, so nothing is shortened.
func (t *table) write(w io.Writer, width int, colored bool) error {
	widths, below := t.widths(), false
	if width > 0 {
		widths, below = t.fit(width)
	}
	cut := shorten
	if width == 0 {
		cut = func(s string, _ int) string { return s }
		for i := range widths {
			widths[i] = min(widths[i], mostPadded)
		}
	}
	var b strings.Builder
	header := make([]cell, len(t.columns))
	for i, c := range t.columns {
		header[i] = cell{text: c.title, color: faint}
	}
	for _, row := range append([][]cell{header}, t.rows...) {
		t.line(&b, row, widths, cut, colored)
		if last := row[len(row)-1]; below && last.text != "" {
			b.WriteString(strings.Repeat(" ", columnGap) + paintIf(colored, faint, last.text) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// widths returns how wide each column wants to be; 0: it is empty.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for i := range widths {
		if widths[i] > 0 {
			widths[i] = max(widths[i], utf8.RuneCountInString(t.columns[i].title))
		}
	}
	return widths
}

// fit returns widths that fit, and whether the last column goes below.
func (t *table) fit(width int) (widths []int, below bool) {
	widths = t.widths()
	if t.lastBelow == 0 {
		t.squeeze(widths, width, len(t.columns))
		return widths, false
	}
	t.squeeze(widths, width, t.lastBelow-1)
	if total(widths) <= width {
		return widths, false
	}
	widths = t.widths()
	widths[len(widths)-1] = 0
	t.squeeze(widths, width, len(t.columns))
	return widths, true
}

// squeeze shortens the widest columns that may be, and lets columns leave, up to last, until the width is enough.
func (t *table) squeeze(widths []int, width, last int) {
	for leaving := 1; ; leaving++ {
		for total(widths) > width {
			widest := -1
			for i, c := range t.columns {
				if c.min > 0 && widths[i] > c.min && (widest < 0 || widths[i] > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
		}
		if total(widths) <= width || leaving > last {
			return
		}
		for i, c := range t.columns {
			if c.leaving == leaving {
				widths[i] = 0
			}
		}
		natural := t.widths() // What is left may have the room.
		for i := range widths {
			if widths[i] > 0 {
				widths[i] = natural[i]
			}
		}
	}
}

func total(widths []int) int {
	sum := 0
	for _, w := range widths {
		if w > 0 {
			sum += w + columnGap
		}
	}
	return sum - columnGap
}

func (t *table) line(b *strings.Builder, row []cell, widths []int, cut func(string, int) string, colored bool) {
	pad := 0
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		text := cut(c.text, widths[i])
		space := max(0, widths[i]-utf8.RuneCountInString(text))
		if t.columns[i].right {
			pad, space = pad+space, 0
		}
		if text == "" {
			pad += space + columnGap
			continue
		}
		b.WriteString(strings.Repeat(" ", pad))
		b.WriteString(paintIf(colored, c.color, text))
		pad = space + columnGap
	}
	b.WriteByte('\n')
}

func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	runes := []rune(s)
	return string(runes[:width-1]) + "…"
}
