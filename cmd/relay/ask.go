package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// terminal is where questions are asked and answered.
type terminal struct {
	in          io.Reader
	interactive bool // Somebody sits there who can answer.
}

func newTerminal(out io.Writer) terminal {
	return terminal{in: os.Stdin, interactive: terminalWidth(out) > 0 && term.IsTerminal(int(os.Stdin.Fd()))}
}

// errDeclined ends a command that somebody was asked about and did not want: nothing was done.
var errDeclined = errors.New("nothing was done")

// confirm asks whether to go on, unless --yes says so already. Where nobody can answer, that is bad usage.
func (p *program) confirm(ctx context.Context, yes bool, question string) error {
	return p.askFor(ctx, yes, question+" [y/N] ", func(answer string) bool {
		answer = strings.ToLower(answer)
		return answer == "y" || answer == "yes"
	})
}

// confirmByTyping asks for a name to be typed, for what cannot be undone.
func (p *program) confirmByTyping(ctx context.Context, yes bool, question, name string) error {
	return p.askFor(ctx, yes, question, func(answer string) bool { return answer == name })
}

func (p *program) askFor(ctx context.Context, yes bool, question string, good func(string) bool) error {
	if yes {
		return nil
	}
	if !p.terminal.interactive {
		return usagef("nobody can be asked here: give --yes to go on without a question; nothing was done")
	}
	_, _ = fmt.Fprint(p.stdout, question)
	answers := make(chan string, 1) // The read cannot be called off; the process ends first.
	go func() {
		line, _ := bufio.NewReader(p.terminal.in).ReadString('\n')
		answers <- strings.TrimSpace(line)
	}()
	select {
	case answer := <-answers:
		if good(answer) {
			return nil
		}
		return errDeclined
	case <-ctx.Done():
		_, _ = fmt.Fprintln(p.stdout)
		return ctx.Err()
	}
}
