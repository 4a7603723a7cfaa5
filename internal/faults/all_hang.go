package main

import (
	"context"
	"time"
)

const (
	// mostLag is how far the slot may be behind while nobody answers.
	mostLag = 16 << 20
	// hangingMemory is what the relay may take then, in bytes.
	hangingMemory = 200 << 20
)

var allHang = &campaign{
	name: "all-hang",
	doc:  "no receiver answers any more: the slot must move on, memory must not grow; then all answer again",
	run: func(ctx context.Context, r *rig) error {
		r.settings = []string{"RELAY_DELIVERY_RETRY_MAX=1000"}
		if err := r.setUp(ctx); err != nil {
			return err
		}
		p, err := r.start(ctx)
		if err != nil {
			return err
		}
		r.writer.start(r.random, 200)
		if err := r.awaitLoad(ctx, 200); err != nil {
			return err
		}
		for _, rec := range r.receivers {
			rec.become(hanging)
		}
		lasts := time.Duration(r.count(30, 1800)) * time.Second
		var mostBehind, lag, mostMemory int64
		for until := time.Now().Add(lasts); time.Now().Before(until) && r.more(ctx); pause(ctx, 200*time.Millisecond) {
			if err := r.query(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
				FROM pg_replication_slots WHERE slot_name = 'relay'`, nil, &lag); err != nil {
				return err
			}
			mostBehind = max(mostBehind, lag)
			if rss, err := p.memory("VmRSS"); err == nil {
				mostMemory = max(mostMemory, rss)
			}
		}
		for _, rec := range r.receivers {
			rec.become(rec.kind)
		}
		ended := time.Now()
		r.writer.stop()
		if mostBehind > mostLag {
			r.problem("the slot was %d MiB behind, %d MiB are allowed", mostBehind>>20, mostLag>>20)
		}
		if mostMemory > hangingMemory {
			r.problem("the relay took %d MiB, %d MiB are allowed", mostMemory>>20, hangingMemory>>20)
		}
		if err := r.recovered(ctx, ended, recoverWithin); err != nil {
			return err
		}
		r.did(1, 1, "no receiver answered for %s under 200 events/s", lasts)
		r.result.note("the slot was at most %d MiB behind, the relay took at most %d MiB", mostBehind>>20, mostMemory>>20)
		return r.settle(ctx)
	},
}
