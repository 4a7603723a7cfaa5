package main

import (
	"context"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// pairs compares the relay with raw POSTs under several conditions, which change what both can do.
type pairs struct {
	comparison
	ticks []plot.Tick // One for each condition.
	sizes []int       // The payload's bytes, one for each condition; none: not told.
}

// pair adds a condition.
func (p *pairs) pair(ctx context.Context, name, url string, work rig.Backlog) error {
	if err := p.relay(ctx, "relay, "+name, url, work); err != nil {
		return err
	}
	p.ceiling("raw POSTs, "+name, rig.Raw{URL: url, Count: work.Events, Payload: work.Payload})
	p.ticks = append(p.ticks, plot.Tick{At: float64(len(p.ticks)), Label: name})
	return nil
}

// report is a table with a row for each condition.
func (p *pairs) report(got *rounds.Results) {
	g := &report.Grid{Columns: []string{"", "relay, deliveries/s", "raw POSTs/s", "relay ÷ raw", "CPU s per 1,000: relay", "Postgres", "receiver"}}
	if p.sizes != nil {
		g.Columns = append(g.Columns, "payload MB/s")
	}
	for i, t := range p.ticks {
		relay, raw := 2*i, 2*i+1
		rate, top, ratio := got.Rate(relay), got.Rate(raw), got.Ratio(relay, raw)
		sender, postgres, receiver := got.CPU(relay)
		cells := []*rounds.Spread{&rate, &top, &ratio, cell(sender), cell(postgres), cell(receiver)}
		if p.sizes != nil {
			cells = append(cells, cell(rate.Median*float64(p.sizes[i])/1e6))
		}
		g.Add(t.Label, cells...)
	}
	p.section.Grid = g
}

// lines is a chart of both over the conditions.
func (p *pairs) lines(got *rounds.Results, x string) *plot.Lines {
	relay, raw := plot.Series{Name: "relay"}, plot.Series{Name: "raw net/http POSTs"}
	for i, t := range p.ticks {
		relay.Points = append(relay.Points, point(t.At, got.Rate(2*i)))
		raw.Points = append(raw.Points, point(t.At, got.Rate(2*i+1)))
	}
	return &plot.Lines{X: x, Y: "deliveries/s", LogY: true, Ticks: p.ticks, Series: []plot.Series{relay, raw}}
}
