package main

import (
	"context"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// instances measures what relays cost that stand by: one reads the stream and sends; all of them claim what is due later.
func instances(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	counts := []int{1, 2, 4}
	for _, n := range counts {
		db, err := c.outbox(ctx)
		if err != nil {
			return err
		}
		if err := db.Subscribe(ctx, "receiver", r.Receiver.URL("/ok")); err != nil {
			return err
		}
		c.drain(counted(n, "relay"), db, rig.Backlog{Events: size.drain, Relays: n})
	}
	got, err := c.run(ctx, size.rounds)
	if err != nil {
		return err
	}
	s.Grid = grid(got, "one")
	lines := overCounts(got, counts, "relays")
	s.Charts = append(s.Charts, plot.Chart{File: "instances.svg", Title: "Deliveries a second by number of relays that run", Lines: lines})
	return nil
}
