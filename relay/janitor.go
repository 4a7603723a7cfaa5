package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/outboxrelay/relay/internal/retention"
	"github.com/outboxrelay/relay/internal/store"
)

const (
	// janitorEvery is how often the janitor looks for what is old.
	janitorEvery = 10 * time.Second

	// forgetEvery is how often statistics of two days ago are removed.
	forgetEvery = time.Hour
)

// janitor removes what is older than the retention, and journal rows that nobody needs any more. Only the relay that
// leads does so.
type janitor struct {
	db        store.DB
	log       *slog.Logger
	retention time.Duration
	leading   func() (confirmed pglogrepl.LSN, leads bool) // What is persisted as confirmed.
	forgot    time.Time                                    // When old statistics were last removed.
	sweeper   *retention.Sweeper                           // Made when it is first needed.
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

// tidy does all that there is to do. A step that fails keeps none of the others from being done.
func (j *janitor) tidy(ctx context.Context) error {
	confirmed, leads := j.leading()
	if !leads {
		return nil
	}
	err := inTime(ctx, func(ctx context.Context) error { return store.PruneChanges(ctx, j.db, confirmed) })
	return errors.Join(err, j.forget(ctx), j.expire(ctx))
}

// forget removes old statistics, once in a while.
func (j *janitor) forget(ctx context.Context) error {
	if time.Since(j.forgot) <= forgetEvery {
		return nil
	}
	if err := inTime(ctx, func(ctx context.Context) error { return store.ForgetStats(ctx, j.db) }); err != nil {
		return err
	}
	j.forgot = time.Now()
	return nil
}

// expire removes what is older than the retention.
func (j *janitor) expire(ctx context.Context) error {
	if j.retention == 0 {
		return nil
	}
	if j.sweeper == nil {
		j.sweeper = &retention.Sweeper{DB: j.db, Age: j.retention, Passed: j.leading}
	}
	removed, err := j.sweeper.Sweep(ctx)
	if removed != (retention.Removed{}) {
		j.log.Info("removed what is older than the retention", "events", removed.Events, "deliveries", removed.Deliveries)
	}
	return err
}

// inTime has a step of the janitor's give up where the database doesn't answer.
func inTime(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, retention.StatementTimeout)
	defer cancel()
	return step(ctx)
}
