package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// The table stands between these two lines of the document.
const (
	markBegin = "<!-- figures: begin -->"
	markEnd   = "<!-- figures: end -->"
)

// report is a whole run.
type report struct {
	Command string        `json:"command"`
	Seed    uint64        `json:"seed"`
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took_ns"`
	Machine string        `json:"machine"`
	Commit  string        `json:"commit,omitempty"`
	Load    string        `json:"load"` // The machine's load averages before and after.
	Results []*result     `json:"results"`

	Earlier []string `json:"earlier,omitempty"` // Commands of which there are results here too.
}

func newReport(ctx context.Context, o *options) *report {
	r := &report{Seed: o.seed, Began: time.Now().UTC(), Load: loadAverage()}
	r.Command = "go run ./internal/faults"
	if o.long {
		r.Command += " -long"
	}
	if o.only != "" {
		r.Command += " -only " + o.only
	}
	if o.points != "" && o.points != "*/*" {
		r.Command += " -points '" + o.points + "'"
	}
	if o.bound > 0 {
		r.Command += " -for " + o.bound.String()
	}
	r.Command += fmt.Sprintf(" -seed %d", o.seed)
	r.Machine = fmt.Sprintf("%d cores, %s, %s/%s, %s", runtime.NumCPU(), processor(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	return r
}

// processor is the model of the CPU, as Linux names it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// loadAverage is how busy the machine is with this and everything else: over one, five and fifteen minutes.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func (r *report) end() {
	r.Took = time.Since(r.Began)
	r.Load += " before, " + loadAverage() + " after"
}

func (r *report) head() string {
	return fmt.Sprintf("seed %d, load %s; to repeat: %s", r.Seed, r.Load, r.Command)
}

func (r *report) passed() bool {
	for _, one := range r.Results {
		if !one.passed() {
			return false
		}
	}
	return len(r.Results) > 0
}

func (r *report) foot() string {
	passed, failed, skipped := 0, 0, 0
	for _, one := range r.Results {
		switch {
		case one.Skipped != "":
			skipped++
		case one.passed():
			passed++
		default:
			failed++
		}
	}
	return fmt.Sprintf("%d campaigns passed, %d failed, %d not done here, in %s; load %s", passed, failed, skipped, r.Took.Round(time.Second), r.Load)
}

// write writes what the flags ask for.
func (r *report) write(o *options) error {
	if o.add {
		if err := r.addEarlier(o.json); err != nil {
			return err
		}
	}
	var errs []error
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		errs = append(errs, err, os.WriteFile(o.json, append(text, '\n'), 0o644))
	}
	if o.markdown != "" {
		errs = append(errs, r.insertInto(o.markdown))
	}
	return errors.Join(errs...)
}

// addEarlier adds the results of an earlier run of other campaigns, in the campaigns' order.
func (r *report) addEarlier(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var earlier report
	if err == nil {
		err = json.Unmarshal(text, &earlier)
	}
	if err != nil {
		return fmt.Errorf("read earlier results: %w", err)
	}
	all := make(map[string]*result)
	for _, one := range append(earlier.Results, r.Results...) {
		all[one.Campaign] = one
	}
	r.Results = nil
	for _, c := range campaigns {
		if one := all[c.name]; one != nil {
			r.Results = append(r.Results, one)
		}
	}
	r.Took += earlier.Took
	r.Earlier = append(r.Earlier, earlier.Earlier...)
	r.Earlier = append(r.Earlier, earlier.Command+" (load "+earlier.Load+")")
	return nil
}

// insertInto puts the table into a document.
func (r *report) insertInto(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("put the table into a document: %w", err)
	}
	before, rest, ok := bytes.Cut(text, []byte(markBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(markEnd))
	if !ok || !ok2 {
		return fmt.Errorf("put the table into a document: %s does not have the lines %q and %q", path, markBegin, markEnd)
	}
	return os.WriteFile(path, bytes.Join([][]byte{before, []byte(markBegin + "\n\n" + r.markdown() + "\n" + markEnd), after}, nil), 0o644)
}

// markdown is the table and what it was measured with.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s with `%s`: %s", r.Began.Format("2 January 2006"), r.Command, r.Machine)
	if r.Commit != "" {
		fmt.Fprintf(&b, ", commit %s", r.Commit)
	}
	fmt.Fprintf(&b, "; %s in all. Load averages of the machine: %s.", r.Took.Round(time.Second), r.Load)
	for _, command := range r.Earlier {
		fmt.Fprintf(&b, " Some campaigns ran before, by `%s`.", command)
	}
	b.WriteString("\n\n")
	b.WriteString("| campaign | what was done | events | lost | phantom | corrupt | twice (bound) | relaying again within | result |\n")
	b.WriteString("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n")
	for _, one := range r.Results {
		b.WriteString(one.row())
	}
	return b.String()
}

// row is a result as a row of the table.
func (r *result) row() string {
	did := strings.Join(append([]string{r.Did}, r.Notes...), "; ")
	if r.Skipped != "" {
		return fmt.Sprintf("| `%s` | %s: %s | | | | | | | **not done** |\n", r.Campaign, did, r.Skipped)
	}
	again, score := "", " | | | |"
	if r.Recovery > 0 {
		again = round(r.Recovery).String()
	}
	if r.Events > 0 {
		score = fmt.Sprintf("%d | %d | %d | %d (%d)", r.Lost, r.Phantom, r.Corrupt, r.Twice, r.Bound)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n", r.Campaign, did, thousands(r.Events), score, again, r.word())
}
