package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// figure is one line of the table.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Target *target `json:"target,omitempty"`
	Note   string  `json:"note,omitempty"`
}

// target is what a figure should reach.
type target struct {
	Op    string  `json:"op"` // "≥" or "<"
	Value float64 `json:"value"`
}

func atLeast(v float64) *target { return &target{Op: "≥", Value: v} }
func below(v float64) *target   { return &target{Op: "<", Value: v} }

func (t *target) met(v float64) bool {
	if t.Op == "<" {
		return v < t.Value
	}
	return v >= t.Value
}

// section is what one measurement gave, or why it gave nothing.
type section struct {
	Name    string   `json:"name"`
	About   string   `json:"about"`
	Figures []figure `json:"figures,omitempty"`
	Error   string   `json:"error,omitempty"`
	Seconds float64  `json:"seconds"`
}

// report is a whole run.
type report struct {
	Machine  []string  `json:"machine"`
	Sections []section `json:"sections"`
	Seconds  float64   `json:"seconds"`
}

func (r *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	var out strings.Builder
	for _, line := range r.Machine {
		fmt.Fprintln(&out, line)
	}
	names, values, targets := r.widths()
	for _, s := range r.Sections {
		fmt.Fprintf(&out, "\n%s\n", s.About)
		for _, f := range s.Figures {
			line := fmt.Sprintf("  %-*s  %*s %-12s  %-*s  %s", names, f.Name, values, number(f.Value), f.Unit, targets, f.verdict(), f.Note)
			fmt.Fprintln(&out, strings.TrimRight(line, " "))
		}
		if s.Error != "" {
			fmt.Fprintf(&out, "  not measured: %s\n", s.Error)
		}
	}
	fmt.Fprintf(&out, "\n%.0f s in all\n", r.Seconds)
	_, err := io.WriteString(w, out.String())
	return err
}

// widths are those of the table's first columns.
func (r *report) widths() (names, values, targets int) {
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			names = max(names, utf8.RuneCountInString(f.Name))
			values = max(values, utf8.RuneCountInString(number(f.Value)))
			targets = max(targets, utf8.RuneCountInString(f.verdict()))
		}
	}
	return names, values, targets
}

// verdict is the target, and whether it is met.
func (f *figure) verdict() string {
	if f.Target == nil {
		return ""
	}
	mark := "✗"
	if f.Target.met(f.Value) {
		mark = "✓"
	}
	return fmt.Sprintf("%s %s %s", mark, f.Target.Op, number(f.Target.Value))
}

// number prints three digits or so: 12,345, 123, 12.3, 1.23 and 0.012.
func number(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int64(v + 0.5))
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
