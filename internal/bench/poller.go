package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// A polling outbox as people write it: workers that take a batch of pending rows, POST one after the other, mark the
// batch as sent, and wait a moment when there was nothing to do.
const (
	pollBatch = 100
	pollPause = 100 * time.Millisecond
)

const pollSchema = `
CREATE TABLE polled_events (
  id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  type       text        NOT NULL,
  user_id    text,
  payload    json        NOT NULL,
  status     text        NOT NULL DEFAULT 'pending',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX polled_events_pending_idx ON polled_events (created_at) WHERE status = 'pending'`

// poll is how many deliveries a second so many workers of a polling outbox make of a backlog of count events.
func poll(ctx context.Context, b *bench, workers, count int) (float64, error) {
	say("polling outbox: %s events, workers: %d", thousands(int64(count)), workers)
	db, err := b.newDatabase(ctx, fmt.Sprintf("poll_%d", workers))
	if err != nil {
		return 0, err
	}
	defer db.close()
	if err := preparePolled(ctx, db, count); err != nil {
		return 0, err
	}
	if err := b.receiver.reset(ctx, count); err != nil {
		return 0, err
	}

	working, stop := context.WithCancel(ctx)
	defer stop()
	group, working := errgroup.WithContext(working)
	client := newClient()
	defer client.CloseIdleConnections()
	for range workers {
		group.Go(func() error { return pollWorker(working, db.pool, client, b.receiver.url("/ok")) })
	}
	var got arrivals
	group.Go(func() (err error) {
		defer stop()
		got, err = b.receiver.wait(working, count)
		return err
	})
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("poll: %w", err)
	}
	return got.rate(), nil
}

func preparePolled(ctx context.Context, db *database, count int) error {
	if _, err := db.pool.Exec(ctx, pollSchema); err != nil {
		return fmt.Errorf("make the polled table: %w", err)
	}
	_, err := db.pool.Exec(ctx, `
		INSERT INTO polled_events (type, user_id, payload)
		SELECT $1, n::text, $2 FROM generate_series(1, $3) AS n`, eventType, payload, count)
	if err != nil {
		return fmt.Errorf("insert polled events: %w", err)
	}
	if _, err := db.pool.Exec(ctx, `ANALYZE polled_events`); err != nil {
		return fmt.Errorf("analyze polled events: %w", err)
	}
	return nil
}

func pollWorker(ctx context.Context, db *pgxpool.Pool, client *http.Client, url string) error {
	for ctx.Err() == nil {
		sent, err := pollOnce(ctx, db, client, url)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		if sent == 0 {
			select {
			case <-time.After(pollPause):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// pollOnce sends one batch and returns how many events there were in it.
func pollOnce(ctx context.Context, db *pgxpool.Pool, client *http.Client, url string) (int, error) {
	var ids []string
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id::text, payload::text FROM polled_events WHERE status = 'pending'
			 ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED`, pollBatch)
		if err != nil {
			return err
		}
		var id, data string
		var payloads []string
		if _, err := pgx.ForEachRow(rows, []any{&id, &data}, func() error {
			ids, payloads = append(ids, id), append(payloads, data)
			return nil
		}); err != nil {
			return err
		}
		for i := range ids {
			if err := post(ctx, client, url, ids[i], []byte(payloads[i])); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE polled_events SET status = 'sent' WHERE id = ANY ($1::text[]::uuid[])`, ids)
		return err
	})
	return len(ids), err
}
