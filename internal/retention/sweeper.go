// Package retention removes events that are older than the retention, and their deliveries and attempts.
//
// It goes through the events by time, and remembers how far it has come: rows just removed stay in an index until the next
// VACUUM, and a search from the beginning would pass them each time. Now and then it begins anew, for what it had to leave
// (an event with an unfinished delivery) and what came behind it (an event that was old when it was inserted).
//
// Small batches, each a transaction, with a rest after each: see pace.go. docs/retention.md says why deletes, and measures.
package retention

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
)

const (
	// chunkSize is how many events are looked for at once. Each chunk waits for the slot, up to some seconds.
	chunkSize = 20_000

	// anewAfter is the time between two searches from the beginning, as a multiple of what the last one took.
	anewAfter = 100

	// sweepWithin is after how long a sweep ends even where there is more to remove, or where the slot doesn't move.
	sweepWithin = time.Minute

	// passedEvery is how often the slot is looked at.
	passedEvery = 50 * time.Millisecond

	// StatementTimeout bounds one statement of those that tidy up: far more than one takes on a slow disk, among rows that no
	// VACUUM has removed. Behind a proxy that hangs it would never return, and nothing would be removed any more.
	StatementTimeout = 10 * time.Minute
)

// Sweeper removes what is old. For one goroutine.
type Sweeper struct {
	DB  store.DB
	Age time.Duration // Older events go.

	// Passed returns a position that the slot has passed, and whether to go on.
	Passed func() (pglogrepl.LSN, bool)

	chunk              int       // Instead of chunkSize, where it is set.
	from               time.Time // All events before it were seen to.
	anew               time.Time // When the next search begins at the beginning.
	events, deliveries pace
}

// Removed is how many rows went; attempts go with their deliveries.
type Removed struct{ Events, Deliveries int64 }

// Sweep removes what is old, and rests as much as it must not to be in anybody's way: it takes a minute at most, but for the
// last statements. Where it ends early, because of that, with an error or because Passed says so, the next Sweep goes on from there.
func (s *Sweeper) Sweep(ctx context.Context) (removed Removed, err error) {
	begun := time.Now()
	anew := !begun.Before(s.anew)
	if anew {
		s.from = time.Time{}
	}
	for {
		s.events.worked, s.deliveries.worked = 0, 0
		more, err := s.sweepChunk(ctx, begun.Add(sweepWithin), &removed)
		if anew {
			s.anew, anew = time.Now().Add(anewAfter*(s.events.worked+s.deliveries.worked)), false
		}
		if err != nil || !more || time.Since(begun) > sweepWithin || !s.goOn(ctx) {
			return removed, err
		}
	}
}

// sweepChunk removes the next events, and what was made of them, and says whether there may be more.
func (s *Sweeper) sweepChunk(ctx context.Context, until time.Time, removed *Removed) (more bool, err error) {
	limit := s.chunk
	if limit == 0 {
		limit = chunkSize
	}
	var old store.Old
	took := s.events.work(ctx, func(ctx context.Context) { old, err = store.OldEvents(ctx, s.DB, s.Age, s.from, limit) })
	if err != nil {
		return false, err
	}
	if len(old.IDs) > 0 {
		sleep(ctx, restAfter(took))
	}
	if !s.awaitSlot(ctx, until, old) {
		return false, nil
	}
	if err := s.removeEvents(ctx, old.IDs, removed); err != nil {
		return false, err
	}
	failpoint.Hit("retention/after-events")
	if err := s.removeDeliveries(ctx, old.Until, removed); err != nil || !s.goOn(ctx) {
		return false, err
	}
	s.from = old.Until
	return len(old.IDs) == limit, nil
}

// goOn says whether there is still somebody who wants it.
func (s *Sweeper) goOn(ctx context.Context) bool {
	_, wanted := s.Passed()
	return wanted && ctx.Err() == nil
}

// awaitSlot waits until the slot has passed the moment at which events were found, so that their deliveries have been made.
func (s *Sweeper) awaitSlot(ctx context.Context, until time.Time, old store.Old) bool {
	for s.goOn(ctx) {
		if passed, _ := s.Passed(); passed >= old.Position || len(old.IDs) == 0 {
			return true
		}
		if time.Now().After(until) {
			return false
		}
		sleep(ctx, passedEvery)
	}
	return false
}

func (s *Sweeper) removeEvents(ctx context.Context, ids []uuid.UUID, removed *Removed) (err error) {
	for len(ids) > 0 && s.goOn(ctx) {
		batch := ids[:min(len(ids), s.events.batch())]
		ids = ids[len(batch):]
		var n int64
		took := s.events.work(ctx, func(ctx context.Context) { n, err = store.DeleteEvents(ctx, s.DB, batch) })
		removed.Events += n
		if err != nil {
			s.events.size = minBatch // It may have been too much.
			return err
		}
		sleep(ctx, s.events.next(took))
	}
	return nil
}

func (s *Sweeper) removeDeliveries(ctx context.Context, until time.Time, removed *Removed) (err error) {
	from := s.from
	for s.goOn(ctx) {
		size := s.deliveries.batch()
		var n int64
		took := s.deliveries.work(ctx, func(ctx context.Context) { n, from, err = store.ExpireDeliveries(ctx, s.DB, from, until, size) })
		removed.Deliveries += n
		if err != nil {
			s.deliveries.size = minBatch
		}
		failpoint.Hit("retention/after-batch")
		if err != nil || n < int64(size) {
			return err
		}
		sleep(ctx, s.deliveries.next(took))
	}
	return nil
}

// sleep waits; less if ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
