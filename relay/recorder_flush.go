package relay

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// flush writes a batch once.
func (r *recorder) flush(ctx context.Context, batch []entry) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	failpoint.Hit("recorder/before-write")
	start := time.Now()
	if err := r.awaitVisible(ctx, batch); err != nil {
		return err
	}
	fresh, known := r.rows(batch)
	if err := r.flushFresh(ctx, fresh); err != nil {
		return err
	}
	failpoint.Hit("recorder/after-fresh")
	if err := r.flushRows(ctx, known); err != nil {
		return err
	}
	failpoint.Hit("recorder/after-rows")
	if err := r.flushChanges(ctx, batch); err != nil {
		return err
	}
	for i := range batch {
		var err error
		switch e := &batch[i]; e.kind {
		case entrySweep:
			failpoint.Hit("recorder/before-sweep")
			err = r.sweep(ctx, e)
			failpoint.Hit("recorder/after-sweep")
		case entryDisable:
			err = r.disable(ctx, *e)
		}
		if err != nil {
			return err
		}
	}
	failpoint.Hit("recorder/after-commit")
	r.metrics.recordSeconds.Observe(time.Since(start).Seconds())
	return nil
}

// sweep cancels some of what waits for a subscription that is no more. What is left has its turn after what came meanwhile, and
// the transaction waits for it.
func (r *recorder) sweep(ctx context.Context, e *entry) error {
	if r.stopping.Load() {
		e.more = true
		return nil
	}
	n, err := store.CancelSubscription(ctx, r.db, e.id, e.at, sweepBatch)
	if err == nil && n >= sweepBatch {
		r.put(*e)
		e.more = true
	}
	return err
}

// disable switches a subscription off. The table is the host's to write as well: where a trigger or a constraint of its
// own refuses the change, the subscription stays on, and everybody else's outcomes are written all the same.
func (r *recorder) disable(ctx context.Context, e entry) error {
	done, err := store.DisableSubscription(ctx, r.db, e.id, e.reason)
	if done {
		r.log.Warn("subscription switched off by delivery.disable_on", "subscription_id", e.id, "reason", e.reason)
	}
	var pg *pgconn.PgError
	if err == nil || !errors.As(err, &pg) || passing(err) {
		return err
	}
	r.log.Error("the database refuses to switch a subscription off; it stays on", "subscription_id", e.id, "error", explain(err))
	return nil
}

// rows returns a row for each delivery of the batch: where there are several entries of one, the last tells it all. Fresh
// are those that nobody has written yet, as far as is known here.
func (r *recorder) rows(batch []entry) (fresh, known []*store.Record) {
	r.batches++
	now := time.Now()
	fresh = make([]*store.Record, 0, len(batch))
	for i := len(batch) - 1; i >= 0; i-- {
		d := batch[i].d
		if d == nil || d.batch == r.batches {
			continue
		}
		d.batch = r.batches
		if rec := newRecord(batch[i].kind, d, now); d.claimed || d.settled {
			known = append(known, rec)
		} else {
			fresh = append(fresh, rec)
		}
	}
	return fresh, known
}

func newRecord(kind entryKind, d *delivery, now time.Time) *store.Record {
	rec := &store.Record{
		ID: d.id, EventID: d.event.id, SubscriptionID: d.sub.id, EventCreatedAt: d.event.createdAt,
		EventType: d.event.typ, Tenant: d.event.tenant, UserID: d.event.userID, URL: d.sub.url,
		Attempts: d.attempts, Lease: d.lease.token, Status: string(outbox.StatusPending),
	}
	switch kind {
	case entrySpill:
		rec.DueIn = max(0, d.lease.until.Sub(now))
	case entryCancel:
		rec.Status = string(outbox.StatusCancelled)
	case entryOutcome:
		o := &d.outcome
		rec.Status = string(d.decision.Status)
		rec.DueIn = d.decision.Delay
		rec.Attempts = d.attempts + 1
		rec.Attempt = &store.Attempt{
			EndedAgo: now.Sub(o.EndedAt), Duration: o.EndedAt.Sub(o.StartedAt), Code: o.Code,
			ErrorClass: string(o.Class), Error: o.Error, ResponseBody: o.ResponseBody,
		}
	}
	return rec
}

// flushFresh writes rows that should be new. Where one is not (an earlier try was written, and its answer lost) or is
// refused, all go the way of those that may be there.
func (r *recorder) flushFresh(ctx context.Context, rows []*store.Record) error {
	if len(rows) == 0 {
		return nil
	}
	var b store.Batch
	for _, rec := range rows {
		b.Add(rec)
	}
	if err := store.SaveNewRecords(ctx, r.save, &b); err == nil || !refused(err) {
		return err
	}
	return r.flushRows(ctx, rows)
}

// flushRows writes rows; where the database refuses one for what is in it, the others go without it.
func (r *recorder) flushRows(ctx context.Context, rows []*store.Record) error {
	if len(rows) == 0 {
		return nil
	}
	var b store.Batch
	for _, rec := range rows {
		b.Add(rec)
	}
	err := store.SaveRecords(ctx, r.save, &b)
	if err == nil || !refused(err) {
		return err
	}
	if len(rows) > 1 {
		half := len(rows) / 2
		if err := r.flushRows(ctx, rows[:half]); err != nil {
			return err
		}
		return r.flushRows(ctx, rows[half:])
	}
	return r.flushBare(ctx, rows[0], err)
}

// flushBare writes a row that was refused once more without the text that came from outside.
func (r *recorder) flushBare(ctx context.Context, rec *store.Record, cause error) error {
	const notShown = "not shown: the database could not store the text"
	if a := rec.Attempt; a != nil && (a.ResponseBody != "" || a.Error != "" && a.Error != notShown) {
		a.ResponseBody, a.Error = "", notShown
		return r.flushRows(ctx, []*store.Record{rec})
	}
	r.metrics.recordsRefused.Inc()
	r.log.Error("the database refuses a record; it is left out", "delivery_id", rec.ID, "event_id", rec.EventID,
		"status", rec.Status, "error", explain(cause))
	return nil
}

// refused says whether the database will never take these rows as they are: SQLSTATE classes 21 cardinality violation,
// 22 data exception, 23 integrity constraint violation, 54 program limit exceeded.
func refused(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, class := range []string{"21", "22", "23", "54"} {
		if strings.HasPrefix(pg.Code, class) {
			return true
		}
	}
	return false
}

// awaitVisible waits until everybody sees the subscription changes of a batch: while their commit waits for a standby, the stream has
// them already. Before that, what the batch says of a new subscription's deliveries would be taken for one's that is gone.
func (r *recorder) awaitVisible(ctx context.Context, batch []entry) error {
	var xids []uint32
	for _, e := range batch {
		if e.kind == entryChange {
			xids = append(xids, e.tx.xid)
		}
	}
	if xids == nil {
		return nil
	}
	for range visibleTries {
		if visible, err := store.Visible(ctx, r.db, xids); err != nil || visible {
			return err
		}
		sleep(ctx, visiblePause)
	}
	return errInvisible
}

// flushChanges marks the changes of a batch as read. One without its mark would be missing after a restart. What can't be marked though
// everybody sees its transaction is there no more: it was read before, and pruned since.
func (r *recorder) flushChanges(ctx context.Context, batch []entry) error {
	var ids []int64
	var commits []pglogrepl.LSN
	for _, e := range batch {
		if e.kind == entryChange {
			ids, commits = append(ids, e.change), append(commits, e.tx.commit)
		}
	}
	if ids == nil {
		return nil
	}
	_, err := store.MarkChanges(ctx, r.db, ids, commits)
	failpoint.Hit("recorder/after-marks")
	return err
}

var errInvisible = errors.New("subscription changes were read from the stream and are not visible yet")
