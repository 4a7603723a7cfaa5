package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// program is what the commands share.
type program struct {
	configPath     string // Empty: relay.yaml in the current folder, where there is one.
	stdout, stderr io.Writer
	terminal       terminal
	started        bool // A command has begun: what comes now is no mistake in its flags.

	// abandon, where a command sets it, cleans up before a second signal ends the process at once.
	abandon atomic.Pointer[func()]

	// records, where a command sets it, takes what would be said as text on stderr: its log is for programs.
	records atomic.Pointer[slog.Logger]
}

// execute runs one command line and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr, terminal: newTerminal(stdout)}
	return p.execute(args)
}

func (p *program) execute(args []string) int {
	out := &output{Writer: p.stdout}
	p.stdout = out
	root := newRootCommand(p)
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)

	ctx, stop := p.untilSignal()
	defer stop()
	err := root.ExecuteContext(ctx)
	if err != nil && !p.started {
		err = usageError{err}
	}
	if out.err != nil && (err == nil || errors.Is(err, errSaid)) {
		err = out.err
	}
	return p.report(err)
}

// output is stdout, and remembers that a write failed: most are not looked at.
type output struct {
	io.Writer
	err error // The first.
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil && o.err == nil {
		o.err = err
	}
	return n, err
}

func init() { cobra.EnableCommandSorting = false } // They stand in the order of use.

func newRootCommand(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:               "relay",
		Short:             "Deliver what is committed to outbox.events as webhooks",
		Long:              rootLong,
		Version:           thisBuild().String(),
		Args:              noSuchCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { p.started = true },
	}
	root.SetVersionTemplate("{{.Version}}")
	root.Flags().Bool("version", false, "say which version this is")
	root.PersistentFlags().StringVar(&p.configPath, "config", "",
		"settings `file` (default: relay.yaml in the current folder, where there is one)")
	root.AddCommand(
		newDemoCommand(p),
		newCheckCommand(p),
		newInitCommand(p),
		newSubscriptionsCommand(p),
		newTestCommand(p),
		newRunCommand(p),
		newLogCommand(p),
		newShowCommand(p),
		newReplayCommand(p),
		newStatusCommand(p),
		newDocsCommand(p),
		newAdoptCommand(p),
		newTeardownCommand(p),
		newConsoleLinkCommand(p),
		newHashPasswordCommand(p),
		newVersionCommand(p),
	)
	setHelp(root)
	return root
}

// noSuchCommand is the Args of commands that only hold others: cobra would answer a misspelt one with help and success.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	said := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // Letters that may be wrong; cobra's own default, which it sets too late for this.
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		said += "; did you mean " + strings.Join(near, " or ") + "?"
	} else {
		said += "; see " + cmd.CommandPath() + " --help"
	}
	return errors.New(said)
}

// sameSignal is how long after the first signal a further one counts as the same: timeout(1), for one, sends it to the process
// and then to its whole group.
const sameSignal = 500 * time.Millisecond

// untilSignal returns a context that the first SIGTERM or SIGINT ends. The second ends the process, with exit code 1.
func (p *program) untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
			return
		}
		for first := time.Now(); time.Since(first) < sameSignal; {
			<-signals
		}
		if abandon := p.abandon.Load(); abandon != nil {
			(*abandon)()
		}
		p.complain(errors.New("ended at once by a second signal"))
		os.Exit(exitFailed)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}
