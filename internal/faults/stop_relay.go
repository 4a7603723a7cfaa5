package main

import (
	"context"
	"time"
)

var stopRelay = &campaign{
	name: "stop-relay",
	doc:  "SIGTERM under load, with requests in flight: nothing may come twice",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		if _, err := r.subscribe(ctx, "slow", slow, "user.*"); err != nil { // So that requests are always in flight.
			return err
		}
		r.writer.start(r.random, eventsPerSecond)
		stops, longest := r.count(15, 100), time.Duration(0)
		n := 0
		for ; n < stops && r.more(ctx); n++ {
			p, err := r.launch(r.binaries.relay)
			if err != nil {
				return err
			}
			if err := r.recovered(ctx, p.began, recoverWithin); err != nil {
				return err
			}
			pause(ctx, r.between(0, 500*time.Millisecond)) // The moment of the stop.
			took, err := p.stop()
			if err != nil {
				r.problem("%v", err)
			}
			longest = max(longest, took)
		}
		if _, err := r.start(ctx); err != nil {
			return err
		}
		r.did(n, stops, "stopped %d times by SIGTERM under %d events/s, with a receiver that takes %s", n, eventsPerSecond, slowFor)
		r.result.note("the longest stop took %s", round(longest))
		return r.settle(ctx)
	},
}
