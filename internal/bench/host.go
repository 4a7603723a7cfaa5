package main

import (
	"context"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// host measures a host app's transactions with and without the outbox, and with and without a relay beside it.
func host(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	for _, v := range []struct {
		name string
		work rig.Host
	}{
		{"no outbox, no relay", rig.Host{}},
		{"no outbox row, relay runs", rig.Host{Relay: true}},
		{"outbox row, no relay", rig.Host{Outbox: true}},
		{"outbox row, relay delivers it", rig.Host{Outbox: true, Relay: true}},
	} {
		db, err := c.outbox(ctx)
		if err != nil {
			return err
		}
		if err := db.SetUpHost(ctx); err != nil {
			return err
		}
		if err := db.Subscribe(ctx, "receiver", r.Receiver.URL("/ok")); err != nil {
			return err
		}
		v.work.Lasting = size.host
		c.add(v.name, func(ctx context.Context) (rounds.Sample, error) { return r.Transact(ctx, db, v.work) })
	}
	got, err := c.run(ctx, size.close)
	if err != nil {
		return err
	}
	s.Grid = &report.Grid{Columns: []string{"", "transactions/s", "÷ no outbox", "p50, ms", "p99, ms", "CPU s per 1,000: Postgres", "relay", "receiver"}}
	for i, name := range got.Names {
		rate, ratio := got.Rate(i), got.Ratio(i, 0)
		relay, postgres, receiver := got.CPU(i)
		p50 := got.Of(i, func(s rounds.Sample) float64 { return s.P50.Seconds() * 1000 })
		p99 := got.Of(i, func(s rounds.Sample) float64 { return s.P99.Seconds() * 1000 })
		s.Grid.Add(name, &rate, &ratio, &p50, &p99, cell(postgres), cell(relay), cell(receiver))
	}
	s.Notes = append(s.Notes, fmt.Sprintf("A transaction updates an account and inserts an order, and an event where there is an outbox row; "+
		"rounds of %s. Whatever was not delivered by then is waited for, and its CPU time counts.", size.host))
	s.Charts = append(s.Charts, rateBars(got, "host.svg", "The host app's transactions a second, with all on one machine", "transactions/s",
		func(name string) bool { return name == "outbox row, relay delivers it" }))
	return nil
}
