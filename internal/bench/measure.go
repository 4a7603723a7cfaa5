package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// sizes says how much of everything there is to measure.
type sizes struct {
	drain     int           // Events of a backlog.
	poll      int           // Events for a polling outbox, which takes longer over them.
	latency   time.Duration // At each rate.
	isolation time.Duration // Beside hanging URLs, and as long alone.
	many      int           // Events in transactions of 1,000, for memory.
	single    int           // Events in one transaction, for memory.
}

var (
	full  = sizes{drain: 30_000, poll: 15_000, latency: 10 * time.Second, isolation: 10 * time.Second, many: 300_000, single: 200_000}
	small = sizes{drain: 10_000, poll: 5_000, latency: 4 * time.Second, isolation: 4 * time.Second, many: 60_000, single: 40_000}
)

// measurement is one part of the table.
type measurement struct {
	name  string // For -only.
	about string
	run   func(context.Context, *bench) ([]figure, error)
}

var measurements = []measurement{
	{"drain", "Draining a backlog, first receipt to last, one event a transaction", drain},
	{"slow", "Draining to a receiver that takes 50 ms to answer, concurrency_per_subscription 512", drainSlow},
	{"latency", "From the return of COMMIT to the arrival, each event in a transaction of its own", latency},
	{"isolation", "A healthy URL beside two that hang, 500 events/s", isolation},
	{"memory", "The relay's peak resident memory", memory},
}

func names() []string {
	all := make([]string, len(measurements))
	for i, m := range measurements {
		all[i] = m.name
	}
	return all
}

// choose returns the measurements named in a list separated by commas; all, if it is empty.
func choose(list string) ([]measurement, error) {
	if list == "" {
		return measurements, nil
	}
	var chosen []measurement
next:
	for name := range strings.SplitSeq(list, ",") {
		for _, m := range measurements {
			if m.name == strings.TrimSpace(name) {
				chosen = append(chosen, m)
				continue next
			}
		}
		return nil, fmt.Errorf("no measurement %q: there are %s", name, strings.Join(names(), ", "))
	}
	return chosen, nil
}

// measure runs the measurements one after the other. One that fails says so in the report, and the next is run.
func (b *bench) measure(ctx context.Context, chosen []measurement) *report {
	begun := time.Now()
	r := &report{Machine: b.machine}
	for _, m := range chosen {
		started := time.Now()
		s := section{Name: m.name, About: m.about}
		var err error
		if s.Figures, err = m.run(ctx, b); err != nil {
			s.Error = err.Error()
		}
		s.Seconds = time.Since(started).Seconds()
		r.Sections = append(r.Sections, s)
		if ctx.Err() != nil {
			break
		}
	}
	r.Seconds = time.Since(begun).Seconds()
	return r
}

// say tells whoever waits what is under way.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
