package main

import (
	"context"
	"errors"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// isolation measures what a healthy URL notices of two others that hang, on the same events: alone and beside them, in turn.
func isolation(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	db, relay, err := r.LiveRelay(ctx, "isolation", "/ok")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.Stop(), r.Drop(context.WithoutCancel(ctx), db)) }()

	var alone, beside []rig.Delays
	var ratios []float64
	for range size.rounds {
		a, b, err := aloneAndBeside(ctx, r, db, rig.Stream{Rate: 500, Lasting: size.isolation})
		if err != nil {
			return relay.Failure(err)
		}
		alone, beside = append(alone, a), append(beside, b)
		ratios = append(ratios, b.Percentile(99)/a.Percentile(99))
	}
	s.Figures = []report.Figure{
		report.Median("p99 alone", percentile(alone, 99), "ms"),
		report.Median("p99 beside two that hang", percentile(beside, 99), "ms"),
		report.Median("beside ÷ alone", rounds.SpreadOf(ratios), "").Against(report.Below(1.5)),
	}
	lines := &plot.Lines{X: "of all events", Y: "from commit to arrival, ms", LogY: true, Ticks: percentileTicks()}
	for _, one := range []struct {
		name string
		got  []rig.Delays
	}{{"beside two URLs that hang", beside}, {"alone", alone}} {
		series := plot.Series{Name: one.name}
		for at, p := range percentiles {
			series.Points = append(series.Points, plot.Point{X: float64(at), Y: percentile(one.got, p).Median})
		}
		lines.Series = append(lines.Series, series)
	}
	s.Charts = append(s.Charts, plot.Chart{File: "isolation.svg", Title: "A healthy URL, by the share of events that took no longer", Lines: lines})
	return nil
}

// aloneAndBeside observes the healthy URL, and again while two others hang, which then are no more.
func aloneAndBeside(ctx context.Context, r *rig.Rig, db *rig.Database, work rig.Stream) (alone, beside rig.Delays, err error) {
	if alone, err = r.Observe(ctx, db, work); err != nil {
		return nil, nil, err
	}
	hanging := []string{"hanging-1", "hanging-2"}
	for _, name := range hanging {
		if err := db.Subscribe(ctx, name, r.Receiver.URL("/hang")); err != nil {
			return nil, nil, err
		}
	}
	if beside, err = r.Observe(ctx, db, work); err != nil {
		return nil, nil, err
	}
	for _, name := range hanging { // So that the relay need not wait for them.
		if err := db.Unsubscribe(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	if err := r.Receiver.Release(ctx); err != nil {
		return nil, nil, err
	}
	return alone, beside, db.WaitFinished(ctx)
}
