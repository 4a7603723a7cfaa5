package main

import (
	"context"
	"time"

	"github.com/outboxrelay/relay/internal/postgres"
)

// fastStopWithin is how long `pg_ctl stop -m fast` may take: a consumer that confirms too little makes it hang.
const fastStopWithin = 5 * time.Second

var stopPostgres = &campaign{
	name: "stop-postgres",
	doc:  "kill -9, immediate and fast stop of Postgres under load, with two running relays",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		for range 2 {
			if _, err := r.start(ctx); err != nil {
				return err
			}
		}
		r.writer.start(r.random, eventsPerSecond)
		stops, longest := r.count(9, 150), time.Duration(0)
		n := 0
		for ; n < stops && r.more(ctx); n++ {
			if err := r.awaitLoad(ctx, 50+r.random.IntN(300)); err != nil {
				return err
			}
			began := time.Now()
			if err := r.breakPostgres(ctx, n%3); err != nil {
				return err
			}
			if n%3 == 0 {
				longest = max(longest, time.Since(began))
			}
			if err := r.cluster.Resume(ctx); err != nil {
				return err
			}
			if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
				return err
			}
		}
		if longest > fastStopWithin {
			r.problem("a fast stop took %s, %s are allowed", round(longest), fastStopWithin)
		}
		r.did(n, stops, "stopped Postgres %d times (fast, immediate, kill -9 in turn) under two relays and %d events/s", n, eventsPerSecond)
		r.result.note("the longest fast stop took %s", round(longest))
		return r.settle(ctx)
	},
}

// breakPostgres stops it in one of three ways and returns once all its processes are gone.
func (r *rig) breakPostgres(ctx context.Context, how int) error {
	switch how {
	case 0:
		return r.cluster.Stop(ctx, postgres.Fast)
	case 1:
		return r.cluster.Stop(ctx, postgres.Immediate)
	default:
		return r.cluster.Kill()
	}
}
