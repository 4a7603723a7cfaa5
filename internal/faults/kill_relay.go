package main

import (
	"context"
	"time"
)

const (
	// eventsPerSecond is what the host app writes in most campaigns.
	eventsPerSecond = 300
	// recoverWithin is how soon after a fault's end events must be delivered again.
	recoverWithin = 10 * time.Second
)

var killRelay = &campaign{
	name: "kill-relay",
	doc:  "kill -9 of the relay at random moments under load",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		// What is in flight to it at a kill has arrived, and would never be in the log, had the slot passed it.
		if _, err := r.subscribe(ctx, "slow", slow, "user.*"); err != nil {
			return err
		}
		r.writer.start(r.random, eventsPerSecond)
		kills, most := r.count(15, 200), 3*time.Second
		if !r.long {
			most = 1200 * time.Millisecond
		}
		n := 0
		for ; n < kills && r.more(ctx); n++ {
			p, err := r.launch(r.binaries.relay)
			if err != nil {
				return err
			}
			if err := r.recovered(ctx, p.began, recoverWithin); err != nil {
				return err
			}
			if err := r.accounted(ctx); err != nil {
				return err
			}
			pause(ctx, r.between(0, most)) // The moment of the kill.
			p.kill()
			if err := r.killed(ctx); err != nil {
				return err
			}
		}
		if _, err := r.start(ctx); err != nil {
			return err
		}
		r.did(n, kills, "killed %d times under %d events/s, with a receiver that takes %s", n, eventsPerSecond, slowFor)
		r.result.note("at most %d unrecorded at one kill", r.result.MostAtOnce)
		return r.settle(ctx)
	},
}
