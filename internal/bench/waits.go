package main

import (
	"context"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// waits measures how long after its commit an event arrives, by relay and by its peers, at a rate that all of them manage.
func waits(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	work := rig.Stream{Rate: 200, Lasting: size.latency / 3}
	url := r.Receiver.URL("/ok")
	db, err := c.outbox(ctx)
	if err != nil {
		return err
	}
	if err := db.Subscribe(ctx, "receiver", url); err != nil {
		return err
	}
	names := []string{"relay"}
	observe := []func() (rig.Delays, error){func() (rig.Delays, error) { return r.ObserveRelay(ctx, db, work) }}
	for _, one := range []struct {
		name string
		peer rig.Peer
	}{
		{"best-tuned poller, every 10 ms", rig.Peer{Kind: "tuned", Settings: "-workers 2 -batch 100 -in-flight 16 -pause 10ms"}},
		{"river jobs, FetchCooldown 2 ms", rig.Peer{Kind: "river", Settings: "-workers 100 -cooldown 2ms"}},
		{"polling outbox, every 100 ms", rig.Peer{Kind: "naive", Settings: "-workers 1"}},
	} {
		db, err := c.database(ctx)
		if err != nil {
			return err
		}
		names = append(names, one.name)
		observe = append(observe, func() (rig.Delays, error) { return r.ObservePeer(ctx, db, one.peer, url, work) })
	}

	got := make([][]rig.Delays, len(names))
	for range size.rounds {
		for i := range names {
			delays, err := observe[i]()
			if err != nil {
				return err
			}
			rig.Say("  %-40s p50 %s ms", names[i], plot.Number(delays.Percentile(50)))
			got[i] = append(got[i], delays)
		}
	}
	s.Grid = &report.Grid{Columns: []string{"", "p50, ms", "p99, ms"}}
	lines := &plot.Lines{X: "of all events", Y: "from commit to arrival, ms", LogY: true, Ticks: percentileTicks()}
	for i, name := range names {
		p50, p99 := percentile(got[i], 50), percentile(got[i], 99)
		s.Grid.Add(name, &p50, &p99)
		series := plot.Series{Name: name}
		for at, p := range percentiles {
			series.Points = append(series.Points, plot.Point{X: float64(at), Y: percentile(got[i], p).Median})
		}
		lines.Series = append(lines.Series, series)
	}
	s.Charts = append(s.Charts, plot.Chart{File: "waits.svg", Title: "From commit to arrival, by the share of events that took no longer", Lines: lines})
	return nil
}

// percentile is that of each round.
func percentile(all []rig.Delays, p float64) rounds.Spread {
	values := make([]float64, len(all))
	for i, d := range all {
		values[i] = d.Percentile(p)
	}
	return rounds.SpreadOf(values)
}
