package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON, one object a line")
}

// newEncoder writes JSON for programs: as it is, without the escapes that HTML would need.
func newEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(asUTF8{w})
	enc.SetEscapeHTML(false)
	return enc
}

// asUTF8 puts U+FFFD in place of what is not UTF-8, as encoding/json does but for payloads: those of a database of encoding
// SQL_ASCII may be in any. The encoder writes each value at once.
type asUTF8 struct{ w io.Writer }

func (u asUTF8) Write(p []byte) (int, error) {
	if _, err := u.w.Write(bytes.ToValidUTF8(p, []byte("\uFFFD"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// printable makes text safe for a terminal: what receivers answered and apps wrote may hold control sequences.
func printable(s string) string {
	clean := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if strings.IndexFunc(s, clean) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) && r != unicode.ReplacementChar {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// wrap breaks text at spaces so that it fits a terminal of that width, 0: none, behind a first and below an indent of the
// same length.
func wrap(text string, width int, indent string) string {
	room := width - len(indent)
	if room < 20 {
		return text
	}
	var b strings.Builder
	used := 0
	for word := range strings.SplitSeq(text, " ") {
		length := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+length > room:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += length
	}
	return b.String()
}

// block prints text of several lines, each indented and safe for a terminal.
func block(w io.Writer, indent, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		_, _ = fmt.Fprintln(w, strings.TrimRight(indent+printable(strings.ReplaceAll(line, "\t", "    ")), " "))
	}
}

// field is one line of a description: a name and what it is.
type field struct{ name, value string }

// printFields prints fields that have a value, aligned.
func printFields(w io.Writer, fields []field) {
	widest := 0
	for _, f := range fields {
		if f.value != "" {
			widest = max(widest, len(f.name))
		}
	}
	for _, f := range fields {
		if f.value != "" {
			_, _ = fmt.Fprintf(w, "%-*s  %s\n", widest, f.name, printable(f.value))
		}
	}
}

const (
	shortTime = "2006-01-02 15:04:05"        // In tables.
	longTime  = "2006-01-02 15:04:05 -07:00" // Where there is room.
)

func formatTime(layout string, t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Local().Format(layout)
}

// formatDuration prints milliseconds up to a second, then seconds.
func formatDuration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// formatCode prints a status code with its name: 410 Gone.
func formatCode(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}

func deref[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

// fileOf returns the file that w writes to, or nil.
func fileOf(w io.Writer) *os.File {
	if out, ok := w.(*output); ok {
		w = out.Writer
	}
	file, _ := w.(*os.File)
	return file
}

// terminalWidth returns the width of the terminal that w is, or 0 where it is none.
func terminalWidth(w io.Writer) int {
	file := fileOf(w)
	if file == nil || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		return 0
	}
	return width
}

// inColor says whether to colour: only on a terminal, and not against NO_COLOR (https://no-color.org).
func inColor(w io.Writer) bool {
	return terminalWidth(w) > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
