package main

import (
	"context"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// answers measures draining by the time that the receiver takes, with as many requests in flight as the relay has to one URL
// by default: what is possible at most is that number divided by the time.
func answers(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	p := &pairs{comparison: comparison{rig: r, section: s}}
	defer p.close(ctx, &err)
	for _, of := range []struct{ ms, fewer int }{{0, 1}, {5, 1}, {50, 4}, {500, 30}} {
		url := r.Receiver.URL(fmt.Sprintf("/after/%d", of.ms))
		if err := p.pair(ctx, fmt.Sprintf("%d ms", of.ms), url, rig.Backlog{Events: size.drain / of.fewer}); err != nil {
			return err
		}
	}
	got, err := p.run(ctx, size.rounds)
	if err != nil {
		return err
	}
	p.report(got)
	s.Charts = append(s.Charts, plot.Chart{File: "answers.svg", Title: "Deliveries a second to one URL by the time it takes to answer",
		Lines: p.lines(got, "the receiver's time to answer")})
	return nil
}
