package main

import (
	"fmt"
	"io"
	"strings"
)

// column is what was measured of one way.
type column struct {
	way     string
	figures []figure
}

type figure struct{ name, value string }

func (c *column) add(name, format string, args ...any) {
	c.figures = append(c.figures, figure{name, fmt.Sprintf(format, args...)})
	say("  %s: %s", name, c.figures[len(c.figures)-1].value)
}

// writeTable prints a table in Markdown, as docs/retention.md has it.
func writeTable(w io.Writer, machine []string, columns []column) error {
	var out strings.Builder
	out.WriteString(strings.Join(machine, "\n") + "\n\n| |")
	for _, c := range columns {
		out.WriteString(" " + c.way + " |")
	}
	out.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, name := range names(columns) {
		out.WriteString("| " + name + " |")
		for _, c := range columns {
			out.WriteString(" " + c.value(name) + " |")
		}
		out.WriteString("\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// names are those of all columns' figures, each once, in order.
func names(columns []column) (all []string) {
	seen := make(map[string]bool)
	for _, c := range columns {
		for _, f := range c.figures {
			if !seen[f.name] {
				seen[f.name] = true
				all = append(all, f.name)
			}
		}
	}
	return all
}

func (c *column) value(name string) string {
	for _, f := range c.figures {
		if f.name == name {
			return f.value
		}
	}
	return "–"
}

func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

func megabytes(n int64) string { return thousands((n+1<<19)>>20) + " MB" }
