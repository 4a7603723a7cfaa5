package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	eventType = "order.updated"

	// payload is 200 bytes, about what a small event has.
	payload = `{"order":"2b7f5c1e-8a55-4b0e-9c3d-1f0a6e7d9b42","status":"shipped","carrier":"Example Mail",` +
		`"items":[{"sku":"A-1001","count":2},{"sku":"B-2002","count":1}],"total":{"amount":"29.90","currency":"EUR"}}`
)

// database is a database of one measurement.
type database struct {
	name string
	url  string
	pool *pgxpool.Pool
}

func (b *bench) newDatabase(ctx context.Context, name string) (*database, error) {
	if err := b.cluster.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(b.cluster.URL(name))
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	cfg.MaxConns = writers + 1
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return &database{name: name, url: cfg.ConnString(), pool: pool}, nil
}

func (db *database) close() { db.pool.Close() }

// subscribe adds a subscription to all events.
func (db *database) subscribe(ctx context.Context, name, url string) error {
	_, err := db.pool.Exec(ctx, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ($1, $2, '{*}')`,
		name, url)
	if err != nil {
		return fmt.Errorf("subscribe %s: %w", name, err)
	}
	return nil
}

func (db *database) unsubscribe(ctx context.Context, name string) error {
	_, err := db.pool.Exec(ctx, `DELETE FROM outbox.subscriptions WHERE name = $1`, name)
	if err != nil {
		return fmt.Errorf("unsubscribe %s: %w", name, err)
	}
	return nil
}

// insert writes count events in transactions of batch. It doesn't wait for the disk: this is the preparation.
func (db *database) insert(ctx context.Context, count, batch int) error {
	say("  inserting %s events, %s a transaction", thousands(int64(count)), thousands(int64(batch)))
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SET synchronous_commit = off"); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	for i := range count / batch {
		if _, err := conn.Exec(ctx, insertBacklog, i*batch, batch, eventType, payload); err != nil {
			return fmt.Errorf("insert events: %w", err)
		}
	}
	if _, err := conn.Exec(ctx, "RESET synchronous_commit"); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

const insertBacklog = `INSERT INTO outbox.events (type, user_id, payload)
SELECT $3::text, ($1::int + n)::text, $4::text::json FROM generate_series(1, $2::int) AS n`

// waitRecorded waits until so many deliveries stand in the log as accepted.
func (db *database) waitRecorded(ctx context.Context, count int) error {
	const often = 20 * time.Millisecond // exact enough for CPU times, and too little to add to them
	for {
		var recorded int
		err := db.pool.QueryRow(ctx, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`).Scan(&recorded)
		if err != nil {
			return fmt.Errorf("count deliveries: %w", err)
		}
		if recorded >= count {
			return nil
		}
		select {
		case <-time.After(often):
		case <-ctx.Done():
			return fmt.Errorf("wait for %d deliveries in the log, %d are there: %w", count, recorded, context.Cause(ctx))
		}
	}
}

// dropSlot removes the relay's replication slot, which would hold WAL for the rest of the run. The server may need a
// moment to notice that the relay has gone.
func (db *database) dropSlot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var active bool
		err := db.pool.QueryRow(ctx, `SELECT active FROM pg_replication_slots WHERE slot_name = $1`, db.name).Scan(&active)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err == nil && !active {
			_, err = db.pool.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, db.name)
		}
		if err != nil {
			return fmt.Errorf("drop the slot: %w", err)
		}
		if active {
			time.Sleep(10 * time.Millisecond)
		}
	}
}
