package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Path     string // delivery.timeout, subscriptions[1].url; empty: the file as a whole.
	Variable string // The environment variable that the value is from; empty: relay.yaml or none.
	What     string // What is wrong and what to write instead.
}

// String returns the fault in one line; control characters, which a key may hold, are escaped.
func (f Fault) String() string {
	text := f.What
	switch {
	case f.Path != "" && f.Variable != "":
		text = f.Path + " (" + f.Variable + "): " + text
	case f.Path != "":
		text = f.Path + ": " + text
	}
	return escape(text)
}

// escape writes what can't be shown as it would stand in double quotes.
func escape(text string) string {
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return out.String()
}

// Error holds everything that is wrong with a configuration.
type Error struct {
	Faults []Fault
}

// Error returns a line for each fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// faults gathers what is wrong, by path.
type faults []Fault

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, Fault{Path: path, What: fmt.Sprintf(format, args...)})
}

// hides says whether a fault of a value is but a consequence: nothing can be said about what was not read, nor about the
// whole of what was read in part.
func (f faults) hides(value Fault) bool {
	return slices.ContainsFunc(f, func(known Fault) bool {
		return within(value.Path, known.Path) && value.Variable == known.Variable ||
			known.Path != value.Path && within(known.Path, value.Path)
	})
}

// within says whether a path is another one or lies below it.
func within(path, parent string) bool {
	below, ok := strings.CutPrefix(path, parent)
	return ok && (parent == "" || below == "" || below[0] == '.' || below[0] == '[')
}
