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
			numbers := make([]int64, took)
			for i := range events {
				numbers[i] = events[i].Number
			}
			_, err = tx.Exec(ctx, `UPDATE polled_events SET status = 'sent' WHERE number = ANY ($1)`, numbers)
			return err
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
