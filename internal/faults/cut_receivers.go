package main

import (
	"context"
	"time"

	"github.com/outboxrelay/relay/internal/faults/proxy"
)

var cutReceivers = &campaign{
	name: "cut-receivers",
	doc:  "the connections between relay and a receiver cut, stalled, and half open",
	run: func(ctx context.Context, r *rig) error {
		r.settings = []string{"RELAY_DELIVERY_RETRY_MAX=1000"} // So that the cut ends before the retries do.
		if err := r.setUp(ctx); err != nil {
			return err
		}
		p, err := proxy.New(r.all().address)
		if err != nil {
			return err
		}
		r.closers = append(r.closers, p.Close)
		err = r.exec(ctx, `UPDATE outbox.subscriptions SET url = $2 WHERE id = $1::text::uuid`, r.ids[r.all()], "http://"+p.Address()+"/hook")
		if err != nil {
			return err
		}
		if _, err := r.start(ctx); err != nil {
			return err
		}
		r.writer.start(r.random, eventsPerSecond)
		faults, longest := r.count(9, 50), 90*time.Second
		if !r.long {
			longest = 3 * time.Second
		}
		n := 0
		for ; n < faults && r.more(ctx); n++ {
			if err := r.awaitLoad(ctx, 50+r.random.IntN(300)); err != nil {
				return err
			}
			began := time.Now()
			switch n % 3 {
			case 0:
				p.Cut()
			case 1:
				p.Stall()
			default:
				p.LoseAll()
			}
			pause(ctx, r.between(time.Second, longest))
			if n%3 < 2 {
				p.Heal()
				began = time.Now()
			}
			if err := r.recovered(ctx, began, recoverWithin); err != nil {
				return err
			}
		}
		r.did(n, faults, "cut, stalled and left half open %d times, up to %s", n, longest)
		return r.settle(ctx)
	},
}
