package relay

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/outboxrelay/relay/internal/store"
)

const (
	// janitorEvery is how often the janitor looks for what is old.
	janitorEvery = 10 * time.Second

	// expireBatch is how many rows go in one transaction: locks held for some milliseconds.
	expireBatch = 1000

	// expireFind is how many events are looked for at once: the slot has to pass the moment at which they were found, which
	// takes up to idleCheckpoint, so many batches share the wait.
	expireFind = 20 * expireBatch

	// forgetEvery is how often statistics of two days ago are removed.
	forgetEvery = time.Hour

	// expirePause lets others at the database between two batches.
	expirePause = 20 * time.Millisecond
)

// janitor removes what is older than the retention, and journal rows that nobody needs any more. Only the relay that
// leads does so.
type janitor struct {
	db        store.DB
	log       *slog.Logger
	retention time.Duration
	leading   func() (confirmed pglogrepl.LSN, leads bool) // What is persisted as confirmed.
	forgot    time.Time                                    // When old statistics were last removed.
}

// run works until ctx ends.
func (j *janitor) run(ctx context.Context) {
	for {
		sleep(ctx, janitorEvery)
		if ctx.Err() != nil {
			return
		}
		if err := j.tidy(ctx); err != nil && ctx.Err() == nil {
			j.log.Warn("cannot remove what is old; trying again", "error", explain(err))
		}
	}
}

func (j *janitor) tidy(ctx context.Context) error {
	confirmed, leads := j.leading()
	if !leads {
		return nil
	}
	if err := store.PruneChanges(ctx, j.db, confirmed); err != nil {
		return err
	}
	if time.Since(j.forgot) > forgetEvery {
		if err := store.ForgetStats(ctx, j.db); err != nil {
			return err
		}
		j.forgot = time.Now()
	}
	if j.retention == 0 {
		return nil
	}
	events, err := j.expireEvents(ctx)
	if err != nil {
		return err
	}
	deliveries, err := j.expireDeliveries(ctx)
	if events+deliveries > 0 {
		j.log.Info("removed what is older than the retention", "events", events, "deliveries", deliveries)
	}
	return err
}

// expireEvents removes old events. An event may be old when it is inserted: it goes only when the slot has passed the
// moment at which it was found, so that its deliveries have been made.
func (j *janitor) expireEvents(ctx context.Context) (removed int64, err error) {
	for {
		ids, found, err := store.OldEvents(ctx, j.db, j.retention, expireFind)
		if err != nil || len(ids) == 0 || !j.awaitConfirmed(ctx, found) {
			return removed, err
		}
		all, gone := len(ids), int64(0)
		for batch := range slices.Chunk(ids, expireBatch) {
			n, err := store.DeleteEvents(ctx, j.db, batch)
			gone += n
			removed += n
			if err != nil || ctx.Err() != nil {
				return removed, err
			}
			sleep(ctx, expirePause)
		}
		if gone == 0 || all < expireFind {
			return removed, nil
		}
	}
}

// awaitConfirmed waits until the slot has passed a position; false: the relay stops, or leads no more.
func (j *janitor) awaitConfirmed(ctx context.Context, position pglogrepl.LSN) bool {
	for {
		confirmed, leads := j.leading()
		if ctx.Err() != nil || !leads {
			return false
		}
		if confirmed >= position {
			return true
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

func (j *janitor) expireDeliveries(ctx context.Context) (removed int64, err error) {
	for {
		n, err := store.ExpireDeliveries(ctx, j.db, j.retention, expireBatch)
		removed += n
		if err != nil || n < expireBatch || ctx.Err() != nil {
			return removed, err
		}
		sleep(ctx, expirePause)
	}
}
