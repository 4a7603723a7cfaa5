package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// mostInFlight is delivery.concurrency.
	mostInFlight = 512
	// guaranteed is what each subscription may have in flight in any case.
	guaranteed = 2
	// recordedWithin is how soon the log must tell of a request while the relay that made it lives. It takes some hundredths
	// of a second; a busy machine, longer.
	recordedWithin = 10 * time.Second
)

// delivered is an event at a receiver.
type delivered struct {
	receiver *receiver
	event    uuid.UUID
}

// untold is how many requests there are of which no attempt tells, and none will: those that are accounted for.
type untold map[delivered]int

// left adds the requests that a relay left behind, and of which nothing tells. It returns how many those are, and how many
// of them hung.
func (u untold) left(rec *receiver, all []sent, told []int) (n, hung int) {
	for i, s := range all {
		key := delivered{rec, s.event}
		if more := s.came - told[i] - u[key]; more > 0 {
			u[key] += more
			n += more
			hung += min(more, s.hung)
		}
	}
	return n, hung
}

// surplus is how many requests have ended of which nothing tells. Taken, they are not found again.
func (u untold) surplus(rec *receiver, all []sent, told []int, take bool) (n int) {
	for i, s := range all {
		key := delivered{rec, s.event}
		if more := s.ended - told[i] - u[key]; more > 0 {
			n += more
			if take {
				u[key] += more
			}
		}
	}
	return n
}

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
	n, err := r.addUntold(ctx)
	if err == nil {
		r.result.leave(n, len(r.receivers))
	}
	return err
}

// leave judges how many requests a relay that is gone had left unrecorded, without those that hung. While the limit is
// reached, each subscription that has nothing under way may still begin what is guaranteed to it.
func (r *result) leave(unrecorded, subscriptions int) {
	r.MostAtOnce = max(r.MostAtOnce, unrecorded)
	if most := mostInFlight + guaranteed*subscriptions; unrecorded > most {
		r.problem("%d requests were unrecorded at once, beside those that hung; %d are allowed", unrecorded, most)
	}
}

// outlive judges how many requests had ended of which nothing told, long after, though the relay lived.
func (r *result) outlive(surplus int) {
	if surplus > 0 {
		r.problem("%d requests had ended %s before, and the log of a relay that lives did not tell of them", surplus, recordedWithin)
	}
}

// addUntold adds to the bound the requests that have come since the last time, and of which no attempt tells. It returns
// how many those are, without those that hung.
func (r *rig) addUntold(ctx context.Context) (counted int, err error) {
	for _, rec := range r.receivers {
		all := rec.lately(true)
		told, err := r.told(ctx, rec, all)
		if err != nil {
			return 0, err
		}
		n, hung := r.untold.left(rec, all, told)
		r.result.Bound += n
		counted += n - hung
	}
	return counted, nil
}

// accounted waits until the log tells of every request that has ended by now. A relay that lives records all that it sends: a
// request of which nothing tells by then was made beside the log, and no kill will excuse it.
func (r *rig) accounted(ctx context.Context) error {
	then := make(map[*receiver][]sent)
	for _, rec := range r.receivers {
		then[rec] = rec.lately(false)
	}
	for deadline := time.Now().Add(recordedWithin); ; pause(ctx, 10*time.Millisecond) {
		last, n := time.Now().After(deadline), 0
		for rec, all := range then {
			told, err := r.told(ctx, rec, all)
			if err != nil {
				return err
			}
			n += r.untold.surplus(rec, all, told, last) // Found once is enough. The bound does not grow by it.
		}
		switch {
		case n == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case last:
			r.result.outlive(n)
			return nil
		}
	}
}

// told returns for each event how many attempts at it the log has of which the receiver may know.
func (r *rig) told(ctx context.Context, rec *receiver, all []sent) (told []int, err error) {
	ids := make([]uuid.UUID, len(all))
	for i, s := range all {
		ids[i] = s.event
	}
	err = r.with(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, toldSQL, r.ids[rec], ids)
		if err == nil {
			told, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count attempts: %w", err)
	}
	return told, nil
}

// connections counts those that are open to any receiver.
func (r *rig) connections() int {
	n := 0
	for _, rec := range r.receivers {
		n += int(rec.open.Load())
	}
	return n
}
