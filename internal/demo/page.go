//go:build unix

package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// page is where the demo is seen: a terminal, drawn over in place, or a pipe, which gets a line now and then.
type page struct {
	out   io.Writer
	color bool
	size  func() (width, height int) // Nil: no terminal.

	mu     sync.Mutex
	closed bool
	hidden bool      // The cursor.
	drawn  int       // Lines that the next frame is drawn over.
	last   time.Time // Of the last line on a pipe.
}

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	eraseRight = "\x1b[K"
	eraseBelow = "\x1b[J"
	// Terminals that know these show a frame only once it is whole; others ignore them.
	beginFrame = "\x1b[?2026h"
	endFrame   = "\x1b[?2026l"
)

// status says what is being done, before there is more to see.
func (p *page) status(what string) {
	if p.size == nil {
		p.print(line{text(what)})
		return
	}
	p.draw([]line{nil, {text("  "), faint(what)}})
}

// begin says on a pipe what a terminal shows all the time: where to look closer.
func (p *page) begin(s *stage) {
	if p.size == nil {
		p.print(line{text("console " + s.console())}, line{text("psql " + s.url)})
	}
}

// show shows the stage; over says that it is for the last time in this state.
func (p *page) show(s *stage, note string, over bool) {
	if p.size != nil {
		p.draw(s.frame(note))
		return
	}
	const often = 2 * time.Second
	if now := time.Now(); over || now.Sub(p.last) >= often {
		p.last = now
		p.print(s.summary())
	}
}

// draw replaces what was drawn last. Where the terminal is too small, the end is not seen.
func (p *page) draw(lines []line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	width, height := p.size()
	if height > 1 && len(lines) > height-1 {
		lines = lines[:height-1]
	}
	var b strings.Builder
	if !p.hidden {
		b.WriteString(hideCursor)
		p.hidden = true
	}
	b.WriteString(beginFrame + p.home())
	for _, l := range lines {
		b.WriteString(l.render(width, p.color) + eraseRight + "\n")
	}
	b.WriteString(eraseBelow + endFrame)
	p.drawn = len(lines)
	_, _ = io.WriteString(p.out, b.String())
}

// home goes to where the last frame begins.
func (p *page) home() string {
	if p.drawn == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", p.drawn)
}

// print writes lines below what was drawn, which stays.
func (p *page) print(lines ...line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.drawn = 0
	for _, l := range lines {
		_, _ = io.WriteString(p.out, l.render(0, p.color)+"\n")
	}
}

func (p *page) showCursor() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hidden {
		_, _ = io.WriteString(p.out, showCursor)
		p.hidden = false
	}
}

// close gives the terminal back: nothing is written from then on.
func (p *page) close() {
	p.showCursor()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}
