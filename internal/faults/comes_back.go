package main

import (
	"context"
	"time"
)

const (
	// firstInFlight is what a receiver that has not answered for a while may get at once: the window with which a lane begins.
	firstInFlight = 8
	// mostToOne is what it may get later: delivery.concurrency_per_subscription.
	mostToOne = 64
)

var comesBack = &campaign{
	name: "comes-back",
	doc:  "a receiver that was gone comes back, slow, to a backlog of retries: it is not trampled, and gets each once",
	run: func(ctx context.Context, r *rig) error {
		r.settings = []string{"RELAY_DELIVERY_RETRY_MAX=1000"}
		if err := r.setUp(ctx); err != nil {
			return err
		}
		rec, err := r.subscribe(ctx, "gone", slow, "*")
		if err != nil {
			return err
		}
		if _, err := r.start(ctx); err != nil {
			return err
		}
		rec.become(gone)
		r.writer.start(r.random, 200)
		if err := r.awaitLoad(ctx, 100); err != nil {
			return err
		}
		lasts := time.Duration(r.count(10, 250)) * time.Second
		for until := time.Now().Add(lasts); time.Now().Before(until) && r.more(ctx); {
			pause(ctx, 200*time.Millisecond)
		}
		r.writer.stop()
		var waiting int
		if err := r.query(ctx, `SELECT count(*)::int FROM outbox.deliveries WHERE subscription_id = $1::text::uuid AND due_at IS NOT NULL`,
			[]any{r.ids[rec]}, &waiting); err != nil {
			return err
		}
		rec.become(slow)
		ended := time.Now()
		if err := r.recovered(ctx, ended, recoverWithin); err != nil {
			return err
		}
		if err := r.awaitAll(ctx); err != nil {
			r.problem("%v", err)
		}
		drained := time.Since(ended)
		rec.mu.Lock()
		early, most := rec.herd.early, rec.herd.most
		rec.mu.Unlock()
		if early > firstInFlight {
			r.problem("%d requests were in flight before the first was answered, %d are allowed", early, firstInFlight)
		}
		if most > mostToOne {
			r.problem("%d requests were in flight, %d are allowed", most, mostToOne)
		}
		r.did(1, 1, "a receiver was gone for %s under 200 events/s, then took %s a request, with %d deliveries waiting", lasts, slowFor, waiting)
		r.result.note("%d requests in flight before the first answer, %d at most later, all done in %.1fs", early, most, drained.Seconds())
		return r.settle(ctx)
	},
}
