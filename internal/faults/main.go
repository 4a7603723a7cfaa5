// Command faults breaks relay, its Postgres and its receivers on purpose, again and again, and counts what that lost,
// invented, changed or sent twice. docs/reliability.md has its figures and says how to read them.
//
//	go run ./internal/faults                      # the short profile, at most ten minutes
//	go run ./internal/faults -long                # the full counts, some hours
//	go run ./internal/faults -only kill-relay -seed 42
//	go run ./internal/faults -long -for 30m       # no campaign begins a further fault after half an hour
//	go run ./internal/faults -list
//
// Each campaign has a Postgres of its own, with fsync on, and the real program. The seed fixes what is done: the moments,
// the payloads, the order. What the machine makes of it differs from run to run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	long     bool
	only     string
	seed     uint64
	bound    time.Duration
	keep     bool
	json     string
	add      bool
	points   string
	markdown string
	dir      string // Of the evidence.
}

func main() {
	var o options
	flag.BoolVar(&o.long, "long", false, "the full counts of the test plan, which take hours")
	flag.StringVar(&o.only, "only", "", "run only these campaigns, separated by commas")
	flag.StringVar(&o.points, "points", "*/*", "the named points of kill-at-points, a pattern")
	flag.Uint64Var(&o.seed, "seed", 0, "repeat the run of this seed; 0: a new one")
	flag.DurationVar(&o.bound, "for", 0, "begin no further fault in a campaign after this time; 0: all faults")
	flag.BoolVar(&o.keep, "keep", false, "keep the journals of campaigns that passed, too")
	flag.StringVar(&o.json, "json", "", "write the results to this file as JSON")
	flag.BoolVar(&o.add, "add", false, "keep the results of other campaigns that the file of -json has already")
	flag.StringVar(&o.markdown, "markdown", "", "put the table of results into this file, between its two marks")
	list := flag.Bool("list", false, "list the campaigns and stop")
	flag.Parse()
	if *list {
		for _, c := range campaigns {
			fmt.Printf("%-18s %s\n", c.name, c.doc)
		}
		return
	}
	chosen, err := choose(o.only)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, errors.Join(err, unexpected(flag.Args())))
		os.Exit(2)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000_000) + 1
	}
	passed, err := run(chosen, &o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

func unexpected(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

// run runs campaigns one after the other, prints a line for each, and says whether all passed.
func run(chosen []*campaign, o *options) (passed bool, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if o.dir, err = os.MkdirTemp("", "relay-faults-"); err != nil {
		return false, fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Chmod(o.dir, 0o755); err != nil { // The server's account has folders in it.
		return false, err
	}
	b, err := build(ctx, o.dir)
	if err != nil {
		return false, err
	}
	report := newReport(ctx, o)
	fmt.Println(report.head())
	for _, c := range chosen {
		if ctx.Err() != nil {
			break
		}
		result := c.execute(ctx, o, b)
		report.Results = append(report.Results, result)
		fmt.Println(result.line())
		fmt.Print(result.explanation())
	}
	report.end()
	fmt.Println(report.foot())
	passed = report.passed() && ctx.Err() == nil
	return passed, errors.Join(cleanUp(o, b, report), report.write(o))
}

// cleanUp removes the programs, and the folder where no evidence is left in it.
func cleanUp(o *options, b binaries, r *report) error {
	if o.keep || !r.passed() {
		fmt.Println("evidence is kept in", o.dir)
		return errors.Join(os.Remove(b.relay), os.Remove(b.tagged))
	}
	return os.RemoveAll(o.dir)
}

func choose(only string) ([]*campaign, error) {
	if only == "" {
		return campaigns, nil
	}
	var chosen []*campaign
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, c := range campaigns {
			if ok, _ := filepath.Match(strings.TrimSpace(name), c.name); ok {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no campaign %q; -list lists them", name)
		}
	}
	return chosen, nil
}
