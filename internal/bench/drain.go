package main

import (
	"context"
	"strings"

	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// drain measures how fast a backlog is delivered, beside what net/http could do at best and what its peers do.
func drain(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	url := r.Receiver.URL("/ok")
	c.ceiling("raw net/http POSTs, 64 in flight", rig.Raw{URL: url, Count: size.drain})
	if err := c.relay(ctx, "relay", url, rig.Backlog{Events: size.drain}); err != nil {
		return err
	}
	for _, one := range []struct {
		name  string
		tried []rig.Peer
	}{
		{"polling outbox, one worker", []rig.Peer{{Kind: "naive", Settings: "-workers 1"}}},
		{"polling outbox, four workers", []rig.Peer{{Kind: "naive", Settings: "-workers 4"}}},
		{"best-tuned poller", []rig.Peer{
			{Kind: "tuned", Settings: "-workers 4 -batch 500 -in-flight 16"},
			{Kind: "tuned", Settings: "-workers 2 -batch 500 -in-flight 32"},
			{Kind: "tuned", Settings: "-workers 4 -batch 100 -in-flight 16"},
			{Kind: "tuned", Settings: "-workers 8 -batch 1000 -in-flight 16"},
		}},
		{"best-tuned poller, with a log", []rig.Peer{
			{Kind: "tuned", Settings: "-log -workers 4 -batch 500 -in-flight 16"},
			{Kind: "tuned", Settings: "-log -workers 2 -batch 500 -in-flight 32"},
		}},
		{"river jobs", []rig.Peer{
			{Kind: "river", Settings: "-workers 500 -cooldown 10ms"},
			{Kind: "river", Settings: "-workers 100 -cooldown 100ms"},
			{Kind: "river", Settings: "-workers 200 -cooldown 10ms"},
			{Kind: "river", Settings: "-workers 2000 -cooldown 2ms"},
		}},
	} {
		if err := c.peer(ctx, one.name, one.tried, url, size.drain*2/3, size.sweep); err != nil {
			return err
		}
	}
	got, err := c.run(ctx, size.rounds)
	if err != nil {
		return err
	}

	const ceiling, relay, one, four, tuned, logged, river = 0, 1, 2, 3, 4, 5, 6
	s.Grid = grid(got, "raw")
	s.Figures = []report.Figure{
		report.Median("relay ÷ raw POSTs", got.Ratio(relay, ceiling), "").Against(report.AtLeast(0.75)),
		report.Median("relay ÷ polling outbox, one worker", got.Ratio(relay, one), "").Against(report.AtLeast(1.3)),
		report.Median("relay ÷ polling outbox, four workers", got.Ratio(relay, four), ""),
		report.Median("relay ÷ best-tuned poller", got.Ratio(relay, tuned), "").Against(report.AtLeast(1.3)),
		report.Median("relay ÷ best-tuned poller, with a log", got.Ratio(relay, logged), "").Against(report.AtLeast(1.3)),
		report.Median("relay ÷ river jobs", got.Ratio(relay, river), ""),
	}
	s.Charts = append(s.Charts,
		rateBars(got, "drain.svg", "Draining a backlog: deliveries a second", "deliveries/s", isRelay),
		cpuBars(got, "drain-cpu.svg", "Draining a backlog: CPU time for 1,000 deliveries"))
	return nil
}

func isRelay(name string) bool { return strings.HasPrefix(name, "relay") }
