// Command bench measures relay on this machine, with the real program on a private Postgres, beside its peers.
//
//	go run ./internal/bench                     # the core, a few minutes
//	go run ./internal/bench -all                # everything, a quarter of an hour
//	go run ./internal/bench -quick              # one round of smaller counts
//	go run ./internal/bench -only drain,memory
//	go run ./internal/bench -all -docs docs/performance.md    # writes tables and charts into the page
//	go run ./internal/bench -from docs/performance/figures.json -docs docs/performance.md    # without measuring again
//
// Whoever sends and whoever receives are processes of their own, so that CPU time and memory can be told apart. Each
// figure stands beside its target; nothing is asserted.
//
// Where to look: each measurement is a file here, listed in measure.go; compare.go runs variants in turn (package rounds);
// package rig is Postgres, relay and receiver; peers is a module of its own; report and plot write what was measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/outboxrelay/relay/internal/bench/receiver"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// What a whole run may take: a measurement that hangs must not hold up whoever waits for the table.
const (
	maxCore = 8 * time.Minute
	maxAll  = 20 * time.Minute
	maxHuge = 45 * time.Minute // With 10 million events to fill in first.
)

// tenMillion is the size of the tables that takes too long for every run.
const tenMillion = 10_000_000

// options are the program's flags.
type options struct {
	quick, all, sweep, huge, asJSON bool
	only, docs, from                string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == receiver.Command {
		exit(receiver.Serve())
	}
	var o options
	flag.BoolVar(&o.quick, "quick", false, "one round of smaller counts")
	flag.BoolVar(&o.all, "all", false, "everything, not the core alone")
	flag.BoolVar(&o.sweep, "sweep", false, "try several settings of each peer first; with -all in any case")
	flag.BoolVar(&o.huge, "huge", false, "tables of 10 million events as well: takes long, and 15 GB of disk")
	flag.StringVar(&o.only, "only", "", "run only these, separated by commas: "+strings.Join(names(), ", "))
	flag.BoolVar(&o.asJSON, "json", false, "print JSON instead of a table")
	flag.StringVar(&o.docs, "docs", "", "bring this `page` and its charts up to date; what is not measured stays as it is there")
	flag.StringVar(&o.from, "from", "", "measure nothing: take the figures from this `file`")
	flag.Parse()
	chosen, err := choose(o.only, o.all)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, errors.Join(err, unexpected(flag.Args())))
		os.Exit(2)
	}
	exit(run(o, chosen))
}

func run(o options, chosen []measurement) error {
	got, err := o.measure(chosen)
	if err != nil {
		return err
	}
	if o.docs != "" {
		all, err := report.Read(report.Figures(o.docs))
		if err != nil {
			return err
		}
		all.Put(got)
		if err := all.WriteDocs(o.docs); err != nil {
			return errors.Join(err, got.WriteText(os.Stdout)) // what was measured is not to be lost
		}
	}
	if o.asJSON {
		return got.WriteJSON(os.Stdout)
	}
	return got.WriteText(os.Stdout)
}

func (o *options) measure(chosen []measurement) (*report.Report, error) {
	if o.from != "" {
		return report.Read(o.from)
	}
	size, limit := full, maxCore
	if o.quick {
		size = small
	}
	if o.all || o.only != "" {
		limit = maxAll
	}
	if o.huge {
		size.history, limit = append(size.history, tenMillion), maxHuge
	}
	size.sweep = o.sweep || o.all

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
	defer cancel()
	r, err := rig.Start(ctx)
	if err != nil {
		return nil, err
	}
	got := measure(ctx, r, chosen, size)
	return got, r.Close()
}

func unexpected(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
