package report

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Markers stand in the page around what is generated: <!-- bench NAME --> … <!-- end NAME -->. NAME is that of a section, or
// machine.
var marked = regexp.MustCompile(`(?s)<!-- bench ([a-z-]+) -->.*?<!-- end ([a-z-]+) -->`)

// folder is where a page's charts and figures lie: docs/performance of docs/performance.md.
func folder(page string) string { return strings.TrimSuffix(page, filepath.Ext(page)) }

// Figures is the file with all figures of a page.
func Figures(page string) string { return filepath.Join(folder(page), "figures.json") }

// WriteDocs brings a page up to date: what stands between its markers, its charts, and the file of its figures.
func (r *Report) WriteDocs(page string) error {
	content, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	filled, err := r.fill(string(content), filepath.Base(folder(page)))
	if err != nil {
		return fmt.Errorf("fill %s: %w", page, err)
	}
	if err := os.MkdirAll(folder(page), 0o755); err != nil {
		return fmt.Errorf("make the folder of the charts: %w", err)
	}
	for _, s := range r.Sections {
		for _, c := range s.Charts {
			if err := os.WriteFile(filepath.Join(folder(page), c.File), []byte(c.SVG()), 0o644); err != nil {
				return fmt.Errorf("write a chart: %w", err)
			}
		}
	}
	if err := r.writeFigures(Figures(page)); err != nil {
		return err
	}
	if err := os.WriteFile(page, []byte(filled), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func (r *Report) writeFigures(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	defer file.Close()
	return r.WriteJSON(file)
}

// fill replaces what stands between the markers; a section that was never measured is left as it is.
func (r *Report) fill(page, charts string) (string, error) {
	parts := map[string]string{"machine": r.machineMarkdown()}
	for _, s := range r.Sections {
		parts[s.Name] = s.markdown(charts)
	}
	found := make(map[string]bool)
	var fault error
	page = marked.ReplaceAllStringFunc(page, func(old string) string {
		names := marked.FindStringSubmatch(old)
		if names[1] != names[2] {
			fault = fmt.Errorf("<!-- bench %s --> ends with <!-- end %s -->", names[1], names[2])
		}
		found[names[1]] = true
		part, ok := parts[names[1]]
		if !ok {
			return old
		}
		return fmt.Sprintf("<!-- bench %s -->\n%s<!-- end %s -->", names[1], part, names[1])
	})
	for _, s := range r.Sections {
		if !found[s.Name] {
			return "", fmt.Errorf("no place for %s: <!-- bench %s --><!-- end %s -->", s.Name, s.Name, s.Name)
		}
	}
	return page, fault
}

func (r *Report) machineMarkdown() string {
	var out strings.Builder
	out.WriteString("\n```\n")
	for _, line := range r.Machine {
		out.WriteString(line + "\n")
	}
	out.WriteString("```\n\n")
	return out.String()
}

func (s *Section) markdown(charts string) string {
	var out strings.Builder
	out.WriteString("\n")
	for _, c := range s.Charts {
		fmt.Fprintf(&out, "![%s](%s/%s)\n\n", c.Title, charts, c.File)
	}
	if s.Grid != nil {
		rows := make([][]string, len(s.Grid.Rows))
		for i := range s.Grid.Rows {
			rows[i] = s.Grid.Rows[i].texts()
		}
		tableMarkdown(&out, s.Grid.Columns, rows)
	}
	if len(s.Figures) > 0 {
		rows := make([][]string, len(s.Figures))
		for i := range s.Figures {
			f := &s.Figures[i]
			rows[i] = []string{f.Name, strings.TrimSpace(f.value() + " " + f.Unit), f.verdict(), f.Note}
		}
		tableMarkdown(&out, []string{"", "", "target", ""}, rows)
	}
	for _, note := range s.Notes {
		out.WriteString(note + "\n\n")
	}
	if s.Error != "" {
		fmt.Fprintf(&out, "Not measured: %s\n\n", strings.ReplaceAll(s.Error, "\n", " "))
	}
	fmt.Fprintf(&out, "<sub>Measured on %s in %.0f s; load average in the minute before: %s.</sub>\n\n",
		s.At.UTC().Format("2006-01-02"), s.Seconds, s.Load)
	return out.String()
}

// tableMarkdown writes a table without columns that are empty; those but the first are aligned to the right where all of their
// cells are numbers.
func tableMarkdown(out *strings.Builder, columns []string, rows [][]string) {
	for i := len(columns) - 1; i > 0; i-- {
		if !slices.ContainsFunc(rows, func(row []string) bool { return row[i] != "" }) {
			columns = slices.Delete(slices.Clone(columns), i, i+1)
			for n, row := range rows {
				rows[n] = slices.Delete(slices.Clone(row), i, i+1)
			}
		}
	}
	out.WriteString("| " + strings.Join(columns, " | ") + " |\n|")
	for i := range columns {
		if i > 0 && numeric(rows, i) {
			out.WriteString(" ---: |")
		} else {
			out.WriteString(" --- |")
		}
	}
	out.WriteString("\n")
	for _, row := range rows {
		out.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	out.WriteString("\n")
}

func numeric(rows [][]string, column int) bool {
	for _, row := range rows {
		if cell := row[column]; cell != "" && !strings.ContainsAny(cell[:1], "0123456789") {
			return false
		}
	}
	return true
}
