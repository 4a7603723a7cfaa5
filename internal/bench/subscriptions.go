package main

import (
	"context"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// others adds subscriptions to other types of events, of the same tenant; one of ten by a pattern.
const others = `
INSERT INTO outbox.subscriptions (name, url, event_types)
SELECT 'other-' || n, $1, ARRAY['other.type_' || n || CASE WHEN n % 10 = 0 THEN '.*' ELSE '' END] FROM generate_series(1, $2) AS n`

// subscriptions measures what subscriptions cost that do not match.
func subscriptions(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	counts := []int{1, 100, 10_000}
	for _, n := range counts {
		db, err := c.outbox(ctx)
		if err != nil {
			return err
		}
		if _, err := db.Pool.Exec(ctx, others, r.Receiver.URL("/ok"), n-1); err != nil {
			return fmt.Errorf("add subscriptions: %w", err)
		}
		if err := db.Subscribe(ctx, "receiver", r.Receiver.URL("/ok")); err != nil {
			return err
		}
		c.drain(counted(n, "subscription"), db, rig.Backlog{Events: size.drain})
	}
	got, err := c.run(ctx, size.close)
	if err != nil {
		return err
	}
	s.Grid = grid(got, "one")
	last := len(counts) - 1
	s.Figures = []report.Figure{
		report.Median("10,000 subscriptions ÷ one, one of them matching", got.Ratio(last, 0), "").Against(report.AtLeast(0.9)),
	}
	for i, n := range counts {
		s.Figures = append(s.Figures, report.Figure{Name: "peak memory with " + counted(n, "subscription"), Unit: "MiB",
			Value: got.Of(i, peak).Median, Note: "from its start, with what it reads of them"})
	}
	s.Charts = append(s.Charts, plot.Chart{File: "subscriptions.svg", Title: "Deliveries a second by number of subscriptions, one of them matching",
		Lines: overCounts(got, counts, "subscriptions")})
	return nil
}
