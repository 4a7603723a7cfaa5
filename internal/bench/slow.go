package main

import (
	"context"

	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// slow measures how well slowness is hidden by concurrency, by relay and by its peers, each with 512 requests in flight.
func slow(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	url := r.Receiver.URL("/after/50")
	c.ceiling("raw net/http POSTs", rig.Raw{URL: url, Count: size.drain, InFlight: 512})
	env := []string{"RELAY_DELIVERY_CONCURRENCY_PER_SUBSCRIPTION=512"}
	if err := c.relay(ctx, "relay", url, rig.Backlog{Events: size.drain, Env: env}); err != nil {
		return err
	}
	for _, one := range []struct {
		name  string
		tried []rig.Peer
		count int
	}{
		{"polling outbox, four workers", []rig.Peer{{Kind: "naive", Settings: "-workers 4 -batch 25"}}, 200},
		{"best-tuned poller", []rig.Peer{
			{Kind: "tuned", Settings: "-workers 8 -batch 1000 -in-flight 64"},
			{Kind: "tuned", Settings: "-workers 16 -batch 500 -in-flight 32"},
			{Kind: "tuned", Settings: "-workers 4 -batch 2000 -in-flight 128"},
		}, size.drain},
		{"river jobs", []rig.Peer{
			{Kind: "river", Settings: "-workers 512 -cooldown 10ms"},
			{Kind: "river", Settings: "-workers 512 -cooldown 2ms"},
			{Kind: "river", Settings: "-workers 512 -cooldown 50ms"},
		}, size.drain * 2 / 3},
	} {
		if err := c.peer(ctx, one.name, one.tried, url, one.count, size.sweep); err != nil {
			return err
		}
	}
	got, err := c.run(ctx, size.rounds)
	if err != nil {
		return err
	}
	s.Grid = grid(got, "raw")
	s.Figures = []report.Figure{
		report.Median("relay", got.Rate(1), "deliveries/s").Against(report.AtLeast(6000)),
		report.Median("relay ÷ best-tuned poller", got.Ratio(1, 3), ""),
		report.Median("relay ÷ river jobs", got.Ratio(1, 4), ""),
	}
	s.Charts = append(s.Charts,
		rateBars(got, "slow.svg", "A receiver that takes 50 ms: deliveries a second", "deliveries/s", isRelay))
	return nil
}
