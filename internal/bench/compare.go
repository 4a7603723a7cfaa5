package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// comparison is variants that are measured in turn, and their databases.
type comparison struct {
	rig       *rig.Rig
	section   *report.Section
	variants  []rounds.Variant
	databases []*rig.Database
}

// close removes the databases. It is to be deferred, with where the measurement's error goes.
func (c *comparison) close(ctx context.Context, err *error) {
	for _, db := range c.databases {
		*err = errors.Join(*err, c.rig.Drop(context.WithoutCancel(ctx), db))
	}
}

// database makes a database for one variant.
func (c *comparison) database(ctx context.Context) (*rig.Database, error) {
	db, err := c.rig.NewDatabase(ctx, fmt.Sprintf("%s_%d", c.section.Name, len(c.databases)))
	if err != nil {
		return nil, err
	}
	c.databases = append(c.databases, db)
	return db, nil
}

// outbox makes a database that a relay has set up.
func (c *comparison) outbox(ctx context.Context) (*rig.Database, error) {
	db, err := c.database(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.rig.InitRelay(ctx, db); err != nil {
		return nil, err
	}
	return db, db.DropSlot(ctx)
}

// relay adds a variant: a relay that drains a backlog to one URL.
func (c *comparison) relay(ctx context.Context, name, url string, work rig.Backlog) error {
	db, err := c.outbox(ctx)
	if err != nil {
		return err
	}
	if err := db.Subscribe(ctx, "receiver", url); err != nil {
		return err
	}
	c.drain(name, db, work)
	return nil
}

// drain adds a variant: a relay that drains a backlog in a database with subscriptions.
func (c *comparison) drain(name string, db *rig.Database, work rig.Backlog) {
	c.add(name, func(ctx context.Context) (rounds.Sample, error) { return c.rig.Drain(ctx, db, work) })
}

// peer adds a variant: a peer that drains a backlog. It is tried with several settings, of which the best are measured, if sweep
// says so, and with the first otherwise.
func (c *comparison) peer(ctx context.Context, name string, tried []rig.Peer, url string, events int, sweep bool) error {
	db, err := c.database(ctx)
	if err != nil {
		return err
	}
	best, top := tried[0], 0.0
	if sweep && len(tried) > 1 {
		for _, peer := range tried {
			s, err := c.rig.DrainPeer(ctx, db, peer, url, events/2)
			if err != nil {
				return err
			}
			rig.Say("  trying %s: %s/s", peer, plot.Number(s.Rate))
			if s.Rate > top {
				best, top = peer, s.Rate
			}
		}
		c.section.Notes = append(c.section.Notes, fmt.Sprintf("%s: the best of %d settings was `%s`.", name, len(tried), best.Settings))
	}
	c.add(name, func(ctx context.Context) (rounds.Sample, error) { return c.rig.DrainPeer(ctx, db, best, url, events) })
	return nil
}

// ceiling adds a variant: raw POSTs.
func (c *comparison) ceiling(name string, raw rig.Raw) {
	c.add(name, func(ctx context.Context) (rounds.Sample, error) { return c.rig.Ceiling(ctx, raw) })
}

func (c *comparison) add(name string, run func(context.Context) (rounds.Sample, error)) {
	c.variants = append(c.variants, rounds.Variant{Name: name, Run: func(ctx context.Context) (rounds.Sample, error) {
		s, err := run(ctx)
		if err == nil {
			rig.Say("  %-40s %8s/s", name, plot.Number(s.Rate))
		}
		return s, err
	}})
}

// run measures all variants n times.
func (c *comparison) run(ctx context.Context, n int) (*rounds.Results, error) {
	got, err := rounds.Run(ctx, n, c.variants)
	if err != nil {
		return nil, err
	}
	note := "Medians of %d interleaved rounds, with the lowest and highest in brackets; ratios are taken within a round."
	if n > 1 {
		c.section.Notes = append(c.section.Notes, fmt.Sprintf(note, n))
	}
	twice := 0
	for _, all := range got.Samples {
		for _, s := range all {
			twice += s.Twice
		}
	}
	if twice > 0 {
		c.section.Notes = append(c.section.Notes, fmt.Sprintf("%d requests were made twice.", twice))
	}
	return got, nil
}

// grid is the usual table: rates, what they are of the first variant, and CPU times.
func grid(got *rounds.Results, first string) *report.Grid {
	g := &report.Grid{Columns: []string{"", "deliveries/s", "÷ " + first, "CPU s per 1,000: sender", "Postgres", "receiver"}}
	for i, name := range got.Names {
		rate, ratio := got.Rate(i), got.Ratio(i, 0)
		sender, postgres, receiver := got.CPU(i)
		g.Add(name, &rate, &ratio, cell(sender), cell(postgres), cell(receiver))
	}
	return g
}

// cell is a single value; nil where it wasn't measured.
func cell(v float64) *rounds.Spread {
	if v == 0 {
		return nil
	}
	return &rounds.Spread{Median: v, Low: v, High: v}
}

// rateBars is a chart of all rates; the first variants whose names begin with relay stand out.
func rateBars(got *rounds.Results, file, title, unit string, strong func(name string) bool) plot.Chart {
	bars := &plot.Bars{Unit: unit}
	for i, name := range got.Names {
		rate := got.Rate(i)
		bars.Rows = append(bars.Rows, plot.Bar{Name: name, Values: []float64{rate.Median}, Low: rate.Low, High: rate.High, Strong: strong(name)})
	}
	return plot.Chart{File: file, Title: title, Bars: bars}
}

// cpuBars is a chart of the CPU time that 1,000 deliveries take.
func cpuBars(got *rounds.Results, file, title string) plot.Chart {
	bars := &plot.Bars{Unit: "CPU seconds per 1,000 deliveries", Parts: []string{"who sends", "Postgres", "receiver"}}
	for i, name := range got.Names {
		sender, postgres, receiver := got.CPU(i)
		bars.Rows = append(bars.Rows, plot.Bar{Name: name, Values: []float64{sender, postgres, receiver}})
	}
	return plot.Chart{File: file, Title: title, Bars: bars}
}

// point is what a variant gave, at x.
func point(x float64, s rounds.Spread) plot.Point {
	return plot.Point{X: x, Y: s.Median, Low: s.Low, High: s.High}
}
