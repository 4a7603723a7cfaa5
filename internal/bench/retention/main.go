// Command retention measures two ways to remove old events, deliveries and attempts: batched deletes, which is what the
// relay does, and a partition a day. docs/retention.md has the figures and the decision.
//
//	go run ./internal/bench/retention              # 10 million events, about a quarter of an hour, 15 GB of disk
//	go run ./internal/bench/retention -quick       # 300,000
//	go run ./internal/bench/retention -way deletes
//	go run ./internal/bench/retention -hold        # loads, prints the database's URL and waits for Ctrl-C
//
// Each way has a database of its own on a private Postgres, dropped before the next is made. Nothing is asserted.
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
)

// maxPart bounds each part: what hangs must not hold up whoever waits for the table.
const maxPart = 12 * time.Minute

type options struct {
	events  int
	lasting time.Duration // Of what is measured by rates.
	ways    []way
	hold    bool
	set     map[string]string // Settings of Postgres.
	use     bool              // Nothing but reading and writing.
	lock    string            // A file that is locked while there is something to do, where others measure on the same machine.
}

func main() {
	quick := flag.Bool("quick", false, "300,000 events")
	events := flag.Int("events", 10_000_000, "so many `events`, spread over 30 days")
	only := flag.String("way", "", "measure this way alone: deletes or partitions")
	hold := flag.Bool("hold", false, "load, print the database's URL and wait for Ctrl-C")
	use := flag.Bool("use", false, "load, read and write, but remove nothing")
	set := make(map[string]string)
	flag.Func("set", "a setting of Postgres, as `name=value`; may be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return errors.New("write name=value")
		}
		set[name] = value
		return nil
	})
	lock := flag.String("lock", "", "hold a lock on this `file` during each part")
	flag.Parse()
	o := options{events: *events, lasting: 8 * time.Second, hold: *hold, use: *use, set: set, lock: *lock}
	if *quick {
		o.events, o.lasting = 300_000, 3*time.Second
	}
	for _, w := range []way{deletes{}, partitions{}} {
		if *only == "" || *only == w.name() {
			o.ways = append(o.ways, w)
		}
	}
	if len(o.ways) == 0 || flag.NArg() > 0 || o.events < 30*1000 {
		fmt.Fprintln(os.Stderr, "usage: retention [-quick | -events N (30,000 at least)] [-way deletes|partitions] [-use] [-set NAME=VALUE]… [-hold] [-lock FILE]")
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	b, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var columns []column
	for _, w := range o.ways {
		c, err := b.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name(), err)
		}
		columns = append(columns, c)
	}
	return writeTable(os.Stdout, b.machine, columns)
}

// say tells whoever waits what is under way.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
