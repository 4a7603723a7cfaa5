package main

import (
	"context"
	_ "embed"
	"math"
	"time"

	"github.com/jackc/pglogrepl"
	"golang.org/x/sync/errgroup"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/retention"
	"github.com/outboxrelay/relay/internal/store"
)

// deletes is schema.sql as it is, and the relay's own janitor.
type deletes struct{}

func (deletes) name() string { return "deletes" }

//go:embed bare.sql
var bareSQL string

func (deletes) setUp(ctx context.Context, db *database) error {
	return db.run(ctx, outboxrelay.Schema+bareSQL)
}

func (deletes) load(ctx context.Context, db *database, h history) error {
	return h.load(ctx, db.url, 0, h.count, deletes{}.tables())
}

func (deletes) tables() tables {
	return tables{eventsTable("outbox.events"), deliveriesTable("outbox.deliveries"), attemptsTable("outbox.attempts")}
}

// finish adds the keys, and lets schema.sql add the indexes that it misses.
func (deletes) finish(ctx context.Context, db *database) error {
	group, both := errgroup.WithContext(ctx)
	for _, script := range []string{
		`ALTER TABLE outbox.events ADD CONSTRAINT events_pkey PRIMARY KEY (id);
		 ALTER TABLE outbox.events ADD CONSTRAINT events_type_check CHECK (type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$') NOT VALID;
		 ALTER TABLE outbox.attempts ADD CONSTRAINT attempts_pkey PRIMARY KEY (delivery_id, attempt)`,
		`ALTER TABLE outbox.deliveries ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id)`,
	} {
		group.Go(func() error { return db.run(both, script) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := db.run(ctx, outboxrelay.Schema); err != nil {
		return err
	}
	return db.run(ctx, "ANALYZE")
}

func (deletes) record(ctx context.Context, db store.DB, b records) error {
	return store.SaveRecords(ctx, db, b.batch())
}

// remove has no slot to wait for.
func (deletes) remove(ctx context.Context, db *database, h history, n int) error {
	sweeper := retention.Sweeper{DB: db.pool, Age: time.Since(h.day(n + 1)), Passed: func() (pglogrepl.LSN, bool) { return math.MaxUint64, true }}
	for {
		removed, err := sweeper.Sweep(ctx)
		if err != nil || removed == (retention.Removed{}) {
			return err
		}
	}
}

// comeBack catches up with the week.
func (w deletes) comeBack(ctx context.Context, t *trial) error {
	return t.spend(ctx, "remove a week, caught up", func() error { return w.remove(ctx, t.db, t.history, removed+6) })
}

func eventsTable(name string) table {
	return table{name, "id, type, user_id, payload, created_at", func(r *row, e *event) {
		r.uuid(e.id)
		r.text(eventType)
		r.text(e.user)
		r.text(payload)
		r.time(e.at)
	}}
}

func deliveriesTable(name string) table {
	columns := "id, event_id, subscription_id, event_created_at, last_attempt_at, finished_at, attempts, response_code, status, " +
		"event_type, tenant, user_id, url"
	return table{name, columns, func(r *row, e *event) {
		r.uuid(e.delivery)
		r.uuid(e.id)
		r.uuid(e.subscription)
		r.time(e.at)
		r.time(e.at.Add(3 * time.Millisecond))
		r.time(e.at.Add(4 * time.Millisecond))
		r.int(1)
		r.int(e.code)
		r.text(e.status)
		r.text(eventType)
		r.text("default")
		r.text(e.user)
		r.text(e.url)
	}}
}

func attemptsTable(name string) table {
	return table{name, "delivery_id, started_at, attempt, duration_ms, response_code, response_body", func(r *row, e *event) {
		r.uuid(e.delivery)
		r.time(e.at.Add(time.Millisecond))
		r.int(1)
		r.int(2)
		r.int(e.code)
		r.text("ok")
	}}
}
