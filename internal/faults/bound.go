package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
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
	before := r.result.Bound
	for _, rec := range r.receivers {
		if err := r.addUntold(ctx, rec); err != nil {
			return fmt.Errorf("count attempts: %w", err)
		}
	}
	r.result.MostAtOnce = max(r.result.MostAtOnce, r.result.Bound-before)
	return nil
}

// delivered is an event at a receiver.
type delivered struct {
	receiver *receiver
	event    uuid.UUID
}

// addUntold adds to the bound the requests that have come to a receiver since the last time, and of which no attempt tells.
func (r *rig) addUntold(ctx context.Context, rec *receiver) error {
	ids, times := rec.takeRecent()
	var told []int
	err := r.with(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, toldSQL, r.ids[rec], ids)
		if err == nil {
			told, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, id := range ids {
		key := delivered{rec, id}
		if more := times[i] - told[i]; more > r.untold[key] {
			r.result.Bound += more - r.untold[key]
			r.untold[key] = more
		}
	}
	return nil
}

// surplus is the number of requests of which no attempt tells, all in all.
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
