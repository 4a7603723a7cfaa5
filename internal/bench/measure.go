package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// sizes says how much of everything there is to measure.
type sizes struct {
	rounds    int           // Of what is compared.
	close     int           // Rounds where differences of a tenth are to be told.
	drain     int           // Events of a backlog.
	latency   time.Duration // At each rate.
	isolation time.Duration // Beside hanging URLs, and as long alone.
	host      time.Duration // Of a host app's transactions, in each round.
	many      int           // Events in transactions of 1,000, for memory.
	single    int           // Events in one transaction, for memory.
	sweep     bool          // Try several settings of each peer first.
	history   []int         // Events that were delivered before, for the size of the tables.
	longer    int           // Events of a backlog that is long enough to touch most pages of their indexes.
}

var (
	full = sizes{rounds: 3, close: 5, drain: 15_000, latency: 8 * time.Second, isolation: 8 * time.Second, host: 2500 * time.Millisecond,
		many: 300_000, single: 200_000, history: []int{0, 1_000_000}, longer: 200_000}
	small = sizes{rounds: 1, close: 1, drain: 4_000, latency: 3 * time.Second, isolation: 3 * time.Second, host: time.Second,
		many: 60_000, single: 40_000, history: []int{0, 100_000}, longer: 4_000}
)

// measurement is one section of the report, in a file of its own.
type measurement struct {
	name  string // For -only, and of its place in the page.
	about string
	core  bool // Of those that are measured unless all are asked for.
	run   func(context.Context, *rig.Rig, sizes, *report.Section) error
}

var measurements = []measurement{
	{"drain", "Draining a backlog, one event a transaction, to a receiver that answers at once", true, drain},
	{"slow", "Draining to a receiver that takes 50 ms to answer, with 512 requests in flight", true, slow},
	{"latency", "From the return of COMMIT to the arrival, each event in a transaction of its own", true, latency},
	{"isolation", "A healthy URL beside two that hang, 500 events/s", true, isolation},
	{"memory", "The relay's peak resident memory", true, memory},
	{"waits", "From the return of COMMIT to the arrival, beside its peers, 200 events/s", false, waits},
	{"payload", "Draining by size of the payload", false, payloads},
	{"subscriptions", "Draining by number of subscriptions of which one matches", false, subscriptions},
	{"matching", "Draining by number of subscriptions that match each event", false, matching},
	{"answers", "Draining by the time that the receiver takes to answer, with the relay's defaults", false, answers},
	{"tls", "Draining over TLS", false, overTLS},
	{"instances", "Draining by number of relays that run", false, instances},
	{"tables", "Draining by size of the tables: events that were delivered before, each with its delivery and attempt", false, tables},
	{"host", "What the outbox costs the host app: its transactions, 8 connections, as fast as they can", false, host},
}

func names() []string {
	all := make([]string, len(measurements))
	for i, m := range measurements {
		all[i] = m.name
	}
	return all
}

// choose returns the measurements named in a list separated by commas; if it is empty, the core, or all.
func choose(list string, all bool) ([]measurement, error) {
	var chosen []measurement
	if list == "" {
		for _, m := range measurements {
			if all || m.core {
				chosen = append(chosen, m)
			}
		}
		return chosen, nil
	}
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
func measure(ctx context.Context, r *rig.Rig, chosen []measurement, size sizes) *report.Report {
	all := &report.Report{Machine: r.Machine}
	for _, m := range chosen {
		rig.Say("%s: %s", m.name, m.about)
		s := &report.Section{Name: m.name, About: m.about, At: time.Now(), Load: rig.Load()}
		if err := m.run(ctx, r, size, s); err != nil {
			s.Error = err.Error()
			rig.Say("  %s", s.Error)
		}
		s.Seconds = time.Since(s.At).Seconds()
		rig.Say("  %.0f s", s.Seconds)
		all.Sections = append(all.Sections, s)
		if ctx.Err() != nil {
			break
		}
	}
	return all
}
