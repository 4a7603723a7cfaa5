package main

import (
	"context"
	"fmt"
)

// drain measures how fast a backlog is delivered, beside what net/http could do at best and what a polling outbox does,
// and what CPU time it takes.
func drain(ctx context.Context, b *bench) ([]figure, error) {
	before, err := ceiling(ctx, b.receiver, b.size.drain)
	if err != nil {
		return nil, err
	}
	relay, err := drainBacklog(ctx, b, backlog{name: "drain", path: "/ok", count: b.size.drain, batch: 1})
	if err != nil {
		return nil, err
	}
	after, err := ceiling(ctx, b.receiver, b.size.drain)
	if err != nil {
		return nil, err
	}
	one, err := poll(ctx, b, 1, b.size.poll)
	if err != nil {
		return nil, err
	}
	four, err := poll(ctx, b, 4, b.size.poll)
	if err != nil {
		return nil, err
	}
	top := (before.rate + after.rate) / 2

	return []figure{
		{Name: "relay", Value: relay.rate, Unit: "deliveries/s", Note: relay.note()},
		{Name: "raw net/http POSTs, concurrency 64: the ceiling", Value: top, Unit: "deliveries/s",
			Note: fmt.Sprintf("%s before, %s after", number(before.rate), number(after.rate))},
		{Name: "relay ÷ ceiling", Value: relay.rate / top, Target: atLeast(0.45)},
		{Name: "polling outbox, one worker", Value: one, Unit: "deliveries/s", Note: "unsigned, one POST after the other"},
		{Name: "relay ÷ one worker", Value: relay.rate / one, Target: atLeast(1.3)},
		{Name: "polling outbox, four workers", Value: four, Unit: "deliveries/s"},
		{Name: "relay ÷ four workers", Value: relay.rate / four},
		{Name: "CPU of relay for 1,000 deliveries", Value: perThousand(relay.relayCPU, relay.count), Unit: "s",
			Note: "from its start to the last outcome recorded"},
		{Name: "CPU of Postgres for 1,000 deliveries", Value: perThousand(relay.postgresCPU, relay.count), Unit: "s"},
		{Name: "CPU of the sender for 1,000 raw POSTs", Value: (before.cpu + after.cpu) / 2, Unit: "s"},
	}, nil
}

// drainSlow measures how well slowness is hidden by concurrency.
func drainSlow(ctx context.Context, b *bench) ([]figure, error) {
	relay, err := drainBacklog(ctx, b, backlog{name: "slow", path: "/slow", count: b.size.drain, batch: 1,
		env: []string{"RELAY_DELIVERY_CONCURRENCY_PER_SUBSCRIPTION=512"}})
	if err != nil {
		return nil, err
	}
	return []figure{
		{Name: "relay", Value: relay.rate, Unit: "deliveries/s", Target: atLeast(6000), Note: relay.note()},
	}, nil
}
