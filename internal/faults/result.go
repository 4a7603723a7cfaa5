package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// result is what a campaign found.
type result struct {
	Campaign string `json:"campaign"`
	Seed     uint64 `json:"seed"`
	Did      string `json:"did"` // What was done, in words, with how often.
	verdict
	Bound      int           `json:"bound"`        // What may have come twice: what had been sent and was not recorded at the kills.
	MostAtOnce int           `json:"most_at_once"` // The most of it at one kill, without what hung.
	Recovery   time.Duration `json:"recovery_ns"`  // The longest from a fault's end to the delivery of an event committed after it.
	Settling   time.Duration `json:"settling_ns"`  // From the last event to the last record.
	Took       time.Duration `json:"took_ns"`
	Notes      []string      `json:"notes,omitempty"`    // Figures beside those that all campaigns have.
	Problems   []string      `json:"problems,omitempty"` // Why it failed, beside the oracle's figures.
	Skipped    string        `json:"skipped,omitempty"`  // Why it could not be done here. It counts as neither passed nor failed.
	Evidence   string        `json:"evidence,omitempty"` // Where the journals of a failure are.

	replaced bool // Another server took the primary's place.
}

// note keeps a figure that this campaign alone has.
func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *result) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// passed says whether all held.
func (r *result) passed() bool {
	return r.Lost+r.Phantom+r.Corrupt+len(r.Faults)+len(r.Problems) == 0 && r.Twice <= r.Bound
}

func (r *result) word() string {
	switch {
	case r.Skipped != "":
		return "NOT DONE"
	case r.passed():
		return "pass"
	}
	return "FAIL"
}

// line is the whole result in one line.
func (r *result) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %s (seed %d): %s", r.word(), r.Campaign, r.Seed, cmp.Or(r.Did, "nothing was done"))
	if r.Skipped != "" {
		fmt.Fprintf(&b, "; not done here: %s", r.Skipped)
		return b.String()
	}
	if r.Events > 0 {
		fmt.Fprintf(&b, "; %s events: lost %d, phantom %d, corrupt %d, twice %d (bound %d)",
			thousands(r.Events), r.Lost, r.Phantom, r.Corrupt, r.Twice, r.Bound)
	}
	if r.Recovery > 0 {
		fmt.Fprintf(&b, ", relaying again within %s", round(r.Recovery))
	}
	for _, n := range r.Notes {
		b.WriteString("; " + n)
	}
	fmt.Fprintf(&b, " [%s]", r.Took.Round(time.Second))
	return b.String()
}

// explanation is what a failure adds to the line.
func (r *result) explanation() string {
	var b strings.Builder
	for _, p := range append(r.Problems, r.Faults...) {
		fmt.Fprintf(&b, "         %s\n", p)
	}
	if r.Evidence != "" {
		fmt.Fprintf(&b, "         evidence (journals, relay.log, the server's log): %s\n", r.Evidence)
	}
	return b.String()
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
