package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// latency measures how long after its commit an event arrives, at two rates.
func latency(ctx context.Context, b *bench) (figures []figure, err error) {
	db, relay, err := b.liveRelay(ctx, "latency")
	if err != nil {
		return nil, err
	}
	defer db.close()
	defer func() { err = errors.Join(err, b.endRelay(ctx, relay, db)) }()

	for _, rate := range []int{100, 1000} {
		got, err := b.observe(ctx, db, stream{rate: rate, lasting: b.size.latency})
		if err != nil {
			return figures, relay.failure(err)
		}
		p50 := figure{Name: fmt.Sprintf("p50 at %s events/s", thousands(int64(rate))), Value: got.percentile(50), Unit: "ms",
			Note: got.note()}
		p99 := figure{Name: fmt.Sprintf("p99 at %s events/s", thousands(int64(rate))), Value: got.percentile(99), Unit: "ms"}
		if rate == 1000 {
			p50.Target, p99.Target = below(1.5), below(10)
		}
		figures = append(figures, p50, p99)
	}
	return figures, nil
}

// isolation measures what a healthy URL notices of two others that hang, on the same events.
func isolation(ctx context.Context, b *bench) (figures []figure, err error) {
	db, relay, err := b.liveRelay(ctx, "isolation")
	if err != nil {
		return nil, err
	}
	defer db.close()
	defer func() { err = errors.Join(err, b.endRelay(ctx, relay, db)) }()

	work := stream{rate: 500, lasting: b.size.isolation}
	alone, err := b.observe(ctx, db, work)
	if err != nil {
		return nil, relay.failure(err)
	}
	hanging := []string{"hanging-1", "hanging-2"}
	for _, name := range hanging {
		if err := db.subscribe(ctx, name, b.receiver.url("/hang")); err != nil {
			return nil, err
		}
	}
	beside, err := b.observe(ctx, db, work)
	if err != nil {
		return nil, relay.failure(err)
	}
	for _, name := range hanging { // so that the relay can stop before they time out
		if err := db.unsubscribe(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := b.receiver.release(ctx); err != nil {
		return nil, err
	}

	a, p := alone.percentile(99), beside.percentile(99)
	return []figure{
		{Name: "p99 alone", Value: a, Unit: "ms", Note: alone.note()},
		{Name: "p99 beside two that hang", Value: p, Unit: "ms", Note: beside.note()},
		{Name: "beside ÷ alone", Value: p / a, Target: below(1.5)},
	}, nil
}

// liveRelay starts a relay on a database of its own, with the receiver subscribed, and waits until it relays.
func (b *bench) liveRelay(ctx context.Context, name string) (*database, *relayProcess, error) {
	db, err := b.newDatabase(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	relay, err := b.startRelay(db)
	if err != nil {
		db.close()
		return nil, nil, err
	}
	readyCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err = relay.waitReady(readyCtx); err == nil {
		err = db.subscribe(ctx, "receiver", b.receiver.url("/ok"))
	}
	if err != nil {
		err = errors.Join(err, relay.stop())
		db.close()
		return nil, nil, err
	}
	return db, relay, nil
}
