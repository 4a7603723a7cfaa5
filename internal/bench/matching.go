package main

import (
	"context"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// matching measures events that go to several subscriptions, each with a URL of its own.
func matching(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	counts := []int{1, 10, 100}
	for _, n := range counts {
		db, err := c.outbox(ctx)
		if err != nil {
			return err
		}
		for i := range n {
			if err := db.Subscribe(ctx, fmt.Sprintf("receiver-%d", i), r.Receiver.URL(fmt.Sprintf("/ok?n=%d", i))); err != nil {
				return err
			}
		}
		c.drain(fmt.Sprintf("%d matching", n), db, rig.Backlog{Events: size.drain / n, Matches: n})
	}
	got, err := c.run(ctx, size.rounds)
	if err != nil {
		return err
	}
	s.Grid = grid(got, "one")
	s.Charts = append(s.Charts, plot.Chart{File: "matching.svg", Title: "Deliveries a second by number of subscriptions that match each event",
		Lines: overCounts(got, counts, "subscriptions that match")})
	return nil
}
