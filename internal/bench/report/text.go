package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes tables for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	var out strings.Builder
	for _, line := range r.Machine {
		fmt.Fprintln(&out, line)
	}
	var seconds float64
	for _, s := range r.Sections {
		seconds += s.Seconds
		s.writeText(&out)
	}
	fmt.Fprintf(&out, "\n%.0f s in all\n", seconds)
	_, err := io.WriteString(w, out.String())
	return err
}

func (s *Section) writeText(out *strings.Builder) {
	fmt.Fprintf(out, "\n%s\n", s.About)
	if s.Grid != nil {
		rows := [][]string{s.Grid.Columns}
		for _, row := range s.Grid.Rows {
			rows = append(rows, row.texts())
		}
		align(out, rows)
	}
	var rows [][]string
	for i := range s.Figures {
		f := &s.Figures[i]
		rows = append(rows, []string{f.Name, f.value(), f.Unit, f.verdict(), f.Note})
	}
	align(out, rows)
	for _, note := range s.Notes {
		fmt.Fprintf(out, "  %s\n", note)
	}
	if s.Error != "" {
		fmt.Fprintf(out, "  not measured: %s\n", s.Error)
	}
}

func (row *Row) texts() []string {
	all := []string{row.Name}
	for _, cell := range row.Cells {
		all = append(all, spread(cell))
	}
	return all
}

// align writes rows in columns, without blanks at their ends.
func align(out *strings.Builder, rows [][]string) {
	var aligned strings.Builder
	tabs := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tabs, "  "+strings.Join(row, "\t"))
	}
	_ = tabs.Flush() // to memory
	for line := range strings.Lines(aligned.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}
