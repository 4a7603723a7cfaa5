//go:build unix

package demo

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// shade is an SGR parameter of the terminal; empty: none.
type shade string

const (
	plainShade  shade = ""
	boldShade   shade = "1"
	faintShade  shade = "2"
	redShade    shade = "31"
	greenShade  shade = "32"
	yellowShade shade = "33"
)

// span is text in one shade.
type span struct {
	text  string
	shade shade
}

func text(s string) span  { return span{s, plainShade} }
func bold(s string) span  { return span{s, boldShade} }
func faint(s string) span { return span{s, faintShade} }
func red(s string) span   { return span{s, redShade} }
func green(s string) span { return span{s, greenShade} }

func (s span) width() int { return utf8.RuneCountInString(s.text) }

// left pads a span to a width on its right, right on its left.
func left(s span, width int) span {
	s.text += strings.Repeat(" ", max(0, width-s.width()))
	return s
}

func right(s span, width int) span {
	s.text = strings.Repeat(" ", max(0, width-s.width())) + s.text
	return s
}

// line is one line of the screen.
type line []span

// render cuts the line to a width; 0: there is none to keep to.
func (l line) render(width int, color bool) string {
	var b strings.Builder
	room := width
	for _, s := range l {
		if width > 0 && s.width() > room {
			s.text = string([]rune(s.text)[:room])
		}
		room -= s.width()
		if s.text == "" {
			continue
		}
		if color && s.shade != plainShade {
			b.WriteString("\x1b[" + string(s.shade) + "m" + s.text + "\x1b[0m")
		} else {
			b.WriteString(s.text)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// lastLines keeps the last lines written to it, each a write. Any number of goroutines may use it.
type lastLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lastLines) Write(p []byte) (int, error) {
	const enough = 10
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == enough {
		l.lines = append(l.lines[:0], l.lines[1:]...)
	}
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}
