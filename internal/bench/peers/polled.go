package main

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A polling outbox is a table of events with a status, and an index of those that are pending.

//go:embed polled.sql
var polledSQL string

// setUpPolled makes the table where it is missing, and inserts events.
func setUpPolled(ctx context.Context, db *pgxpool.Pool, events int, payload string) error {
	if _, err := db.Exec(ctx, polledSQL); err != nil {
		return fmt.Errorf("make the polled table: %w", err)
	}
	_, err := db.Exec(ctx, `
		INSERT INTO polled_events (type, user_id, payload)
		SELECT 'order.updated', n::text, $1 FROM generate_series(1, $2) AS n`, payload, events)
	if err != nil {
		return fmt.Errorf("insert polled events: %w", err)
	}
	if _, err := db.Exec(ctx, `ANALYZE polled_events`); err != nil {
		return fmt.Errorf("analyze polled events: %w", err)
	}
	return nil
}

// polledInserter inserts into the table.
func polledInserter(db *pgxpool.Pool, _ settings, payload string) (func(context.Context, uuid.UUID) error, error) {
	return func(ctx context.Context, id uuid.UUID) error {
		_, err := db.Exec(ctx, `INSERT INTO polled_events (id, type, user_id, payload) VALUES ($1, $2, $3, $4)`,
			id, "order.updated", "42", payload)
		return err
	}, nil
}

// polled is a pending event.
type polled struct {
	Number  int64
	ID      uuid.UUID
	Kind    string
	At      time.Time
	Payload []byte

	Began time.Time     `db:"-"` // Of the attempt.
	Took  time.Duration `db:"-"`
}

// attempt POSTs the event, and notes what the log of attempts wants.
func (e *polled) attempt(ctx context.Context, post *poster) error {
	e.Began = time.Now()
	err := post.send(ctx, e.ID.String(), e.Kind, e.At, e.Payload)
	e.Took = time.Since(e.Began)
	return err
}

// pollLoop takes batches of pending events, has them sent, and marks those of a batch as sent in one statement; the rows stay
// locked meanwhile, so that no other worker takes them.
func pollLoop(ctx context.Context, db *pgxpool.Pool, s settings, send func(context.Context, []polled) error) error {
	for ctx.Err() == nil {
		took := 0
		err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `
				SELECT number, id, type, created_at, payload FROM polled_events WHERE status = 'pending'
				 ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED`, s.batch)
			if err != nil {
				return err
			}
			events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[polled])
			if err != nil || len(events) == 0 {
				return err
			}
			if err := send(ctx, events); err != nil {
				return err
			}
			took = len(events)
			return settle(ctx, tx, events, s.log)
		})
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if took == 0 {
			select {
			case <-time.After(s.pause):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// settle marks events as sent, and writes their attempts where a log is kept.
func settle(ctx context.Context, tx pgx.Tx, events []polled, log bool) error {
	n := len(events)
	numbers, began, took := make([]int64, n), make([]time.Time, n), make([]int32, n)
	for i := range events {
		numbers[i], began[i], took[i] = events[i].Number, events[i].Began, int32(events[i].Took.Milliseconds())
	}
	var batch pgx.Batch
	batch.Queue(`UPDATE polled_events SET status = 'sent' WHERE number = ANY ($1)`, numbers)
	if log {
		batch.Queue(`
			INSERT INTO polled_attempts (number, started_at, duration_ms, code)
			SELECT number, started_at, duration_ms, 200
			  FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[]) AS a(number, started_at, duration_ms)`, numbers, began, took)
	}
	return tx.SendBatch(ctx, &batch).Close()
}
