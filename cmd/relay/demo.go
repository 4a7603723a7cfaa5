package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/demo"
)

// pipeDemo is how long the demo takes where nobody is there to press Ctrl-C.
const pipeDemo = 20 * time.Second

func newDemoCommand(p *program) *cobra.Command {
	o := demo.Options{Out: p.stdout, Version: thisBuild().Version}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch real events go out, on a private throw-away Postgres",
		Long: "Start a private Postgres, a small host app that signs users up, three subscribers (one healthy, one that answers\n" +
			"500, one that goes down and comes back) and the relay between them; show what happens; end with the totals, the\n" +
			"proof that committed is received and rolled back is never seen, and the log of one user. Nothing is left behind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rate < 1 || o.Rate > 1000 {
				return usagef("--rate %d: is out of range: 1 to 1000", o.Rate)
			}
			if o.For < 0 {
				return usagef("--for %s: must not be negative", o.For)
			}
			o.Terminal = inColor(p.stdout)
			if o.For == 0 && !o.Terminal {
				o.For = pipeDemo
			}
			// The first signal ends the sign-ups and brings the totals; the second ends the process.
			return demo.Run(cmd.Context(), context.WithoutCancel(cmd.Context()), o)
		},
	}
	cmd.Flags().DurationVar(&o.For, "for", 0, "how long users sign up (default: until Ctrl-C; 20s where the output is not a terminal)")
	cmd.Flags().IntVar(&o.Rate, "rate", 20, "sign-ups a second")
	return cmd
}
