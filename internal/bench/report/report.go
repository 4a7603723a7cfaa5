// Package report is what a run of the benchmarks gave: figures beside their targets, grids and charts, as text, JSON and
// Markdown.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// Report is a whole run, or several that were put together.
type Report struct {
	Machine  []string   `json:"machine"`
	Sections []*Section `json:"sections"`
}

// Section is what one measurement gave, or why it gave nothing.
type Section struct {
	Name    string       `json:"name"`
	About   string       `json:"about"`
	Figures []Figure     `json:"figures,omitempty"`
	Grid    *Grid        `json:"grid,omitempty"`
	Notes   []string     `json:"notes,omitempty"`
	Charts  []plot.Chart `json:"charts,omitempty"`
	Error   string       `json:"error,omitempty"`
	At      time.Time    `json:"at"`
	Seconds float64      `json:"seconds"`
	Load    string       `json:"load,omitempty"` // Of the machine in the minute before.
}

// Figure is one line: a value and what it should reach.
type Figure struct {
	Name   string         `json:"name"`
	Value  float64        `json:"value"`
	Spread *rounds.Spread `json:"spread,omitempty"` // Where Value is the median of several rounds.
	Unit   string         `json:"unit,omitempty"`
	Target *Target        `json:"target,omitempty"`
	Note   string         `json:"note,omitempty"`
}

// Median is a figure that is the median of several rounds.
func Median(name string, s rounds.Spread, unit string) Figure {
	return Figure{Name: name, Value: s.Median, Spread: &s, Unit: unit}
}

// Against adds a target to a figure.
func (f Figure) Against(t *Target) Figure {
	f.Target = t
	return f
}

// Target is what a figure should reach. Nothing is asserted.
type Target struct {
	Op    string  `json:"op"` // "≥" or "<"
	Value float64 `json:"value"`
}

// AtLeast is a target that is met from v on.
func AtLeast(v float64) *Target { return &Target{Op: "≥", Value: v} }

// Below is a target that is met below v.
func Below(v float64) *Target { return &Target{Op: "<", Value: v} }

func (t *Target) met(v float64) bool {
	if t.Op == "<" {
		return v < t.Value
	}
	return v >= t.Value
}

// Grid is figures of several variants side by side.
type Grid struct {
	Columns []string `json:"columns"` // The first is that of the rows' names.
	Rows    []Row    `json:"rows"`
}

// Row is one variant; a cell without a value is nil.
type Row struct {
	Name  string           `json:"name"`
	Cells []*rounds.Spread `json:"cells"`
}

// Add adds a row.
func (g *Grid) Add(name string, cells ...*rounds.Spread) {
	g.Rows = append(g.Rows, Row{Name: name, Cells: cells})
}

// Read reads a report from a file of JSON; one that isn't there is empty.
func Read(path string) (*Report, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Report{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("read a report from %s: %w", path, err)
	}
	return r, nil
}

// Put takes over what a later run measured; what it did not measure stays, and so does what it failed to.
func (r *Report) Put(later *Report) {
	r.Machine = later.Machine
	for _, s := range later.Sections {
		i := slices.IndexFunc(r.Sections, func(old *Section) bool { return old.Name == s.Name })
		switch {
		case i < 0:
			r.Sections = append(r.Sections, s)
		case s.Error == "":
			r.Sections[i] = s
		}
	}
}

// WriteJSON writes all of it.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write a report: %w", err)
	}
	return nil
}
