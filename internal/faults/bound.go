package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// killed notes that a relay died, waits until nothing is at work for it any more, and adds to the bound what it had sent
// and not recorded.
func (r *rig) killed(ctx context.Context) error {
	err := await(ctx, 20*time.Second, "nothing works for the killed relay", func() (bool, error) {
		var busy int
		err := r.query(ctx, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'relay'`, nil, &busy)
		return err == nil && busy == 0 && r.connections() == 0, nil
	})
	if err != nil {
		return err
	}
	unrecorded, err := r.unrecorded(ctx)
	if err != nil {
		return err
	}
	if unrecorded > r.known {
		r.result.MostAtOnce = max(r.result.MostAtOnce, unrecorded-r.known)
		r.known = unrecorded
	}
	r.result.Bound = r.known
	return nil
}

// unrecorded is how many requests have come of which no attempt in the log tells: with a relay running, those in flight too.
func (r *rig) unrecorded(ctx context.Context) (int, error) {
	requests, known := 0, 0
	for _, rec := range r.receivers {
		_, n := rec.counts()
		requests += n
	}
	if err := r.query(ctx, unrecordedSQL, nil, &known); err != nil {
		return 0, fmt.Errorf("count attempts: %w", err)
	}
	return requests - known, nil
}

// surplus is unrecorded taken one by one, for where the log may tell of attempts that never came: requests of which no
// attempt tells, all in all.
func (r *rig) surplus(ctx context.Context) (int, error) {
	n := 0
	for _, rec := range r.receivers {
		err := r.with(ctx, func(conn *pgx.Conn) error {
			log, err := readLog(ctx, conn, r.ids[rec])
			if err != nil {
				return err
			}
			rec.mu.Lock()
			defer rec.mu.Unlock()
			for id, times := range rec.seen {
				known := 0
				if l := log[id]; l != nil {
					known = l.reached
				}
				n += max(0, times-known)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// connections counts those that are open to any receiver.
func (r *rig) connections() int {
	n := 0
	for _, rec := range r.receivers {
		n += int(rec.open.Load())
	}
	return n
}
