package main

import (
	"context"
	"errors"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// isolation measures what a healthy URL notices of two others that hang, on the same events.
func isolation(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	db, relay, err := r.LiveRelay(ctx, "isolation", "/ok")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.Stop(), r.Drop(context.WithoutCancel(ctx), db)) }()

	work := rig.Stream{Rate: 500, Lasting: size.isolation}
	alone, err := r.Observe(ctx, db, work)
	if err != nil {
		return relay.Failure(err)
	}
	hanging := []string{"hanging-1", "hanging-2"}
	for _, name := range hanging {
		if err := db.Subscribe(ctx, name, r.Receiver.URL("/hang")); err != nil {
			return err
		}
	}
	beside, err := r.Observe(ctx, db, work)
	if err != nil {
		return relay.Failure(err)
	}
	for _, name := range hanging { // so that the relay can stop before they time out
		if err := db.Unsubscribe(ctx, name); err != nil {
			return err
		}
	}
	if err := r.Receiver.Release(ctx); err != nil {
		return err
	}

	a, b := delay("p99 alone", alone, 99), delay("p99 beside two that hang", beside, 99)
	a.Note, b.Note = slowest(alone), slowest(beside)
	s.Figures = []report.Figure{a, b, {Name: "beside ÷ alone", Value: b.Value / a.Value, Target: report.Below(1.5)}}
	lines := &plot.Lines{X: "of all events", Y: "from commit to arrival, ms", LogY: true, Ticks: percentileTicks(), Series: []plot.Series{
		{Name: "beside two URLs that hang", Points: curve(beside)}, {Name: "alone", Points: curve(alone)},
	}}
	s.Charts = append(s.Charts, plot.Chart{File: "isolation.svg", Title: "A healthy URL, by the share of events that took no longer", Lines: lines})
	return nil
}
