//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/outboxrelay/relay/internal/demo"
)

const (
	// demoOnPipe is how long the demo lasts where nobody sits who could end it.
	demoOnPipe = 20 * time.Second
	// maxDemoRate is more than any one machine delivers three times over.
	maxDemoRate = 10_000
)

func newDemoCommand(p *program) *cobra.Command {
	var lasting time.Duration
	var rate int
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch it all on a throw-away Postgres; needs nothing set up",
		Long: "Start a private Postgres, a host app that signs users up, three subscribers (one\n" +
			"healthy, one that answers 500, one that is down and comes back) and the relay,\n" +
			"and show live what is committed, delivered, rejected and retried. In the end\n" +
			"every committed event is looked for at the healthy subscriber, and every event\n" +
			"that was rolled back everywhere: the exit code is 0 where all came and none of\n" +
			"these did. Nothing is left behind. It has settings of its own, and reads no\n" +
			"relay.yaml, whatever --config says.",
		Example: "  relay demo\n  relay demo --for 20s --rate 200",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			size := p.terminalSize()
			if !cmd.Flags().Changed("for") && size == nil {
				lasting = demoOnPipe
			}
			if lasting < 0 {
				return usagef("--for %s: is negative", lasting)
			}
			if rate < 1 || rate > maxDemoRate {
				return usagef("--rate %d: is not between 1 and %d", rate, maxDemoRate)
			}
			return p.runDemo(cmd.Context(), demo.Options{
				Out: p.stdout, Color: inColor(p.stdout), Size: size, Lasting: lasting, Rate: rate, Relay: runRelay,
			})
		},
	}
	cmd.Flags().DurationVar(&lasting, "for", 0, "how long users sign up; 0: until Ctrl-C (default: 0 on a terminal, else 20s)")
	cmd.Flags().IntVar(&rate, "rate", 20, "transactions a second")
	return cmd
}

func (p *program) runDemo(ctx context.Context, o demo.Options) error {
	// A terminal that is closed would end the process, and leave files behind.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	d := demo.New(o)
	p.abandon.Store(new(d.Abandon))
	err := d.Run(ctx)
	if errors.Is(err, demo.ErrNotProven) {
		return errSaid // with what did not hold
	}
	return err
}

// terminalSize returns what tells the size of the terminal that stdout is, or nil where it is none that can be drawn on.
func (p *program) terminalSize() func() (width, height int) {
	file := fileOf(p.stdout)
	if file == nil || terminalWidth(file) == 0 || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() (int, int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil {
			return 0, 0
		}
		return width, height
	}
}
