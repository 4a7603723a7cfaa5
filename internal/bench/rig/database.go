package rig

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// EventType is the type of all events, unless said otherwise.
	EventType = "order.updated"

	// Payload is 200 bytes, about what a small event has.
	Payload = `{"order":"2b7f5c1e-8a55-4b0e-9c3d-1f0a6e7d9b42","status":"shipped","carrier":"Example Mail",` +
		`"items":[{"sku":"A-1001","count":2},{"sku":"B-2002","count":1}],"total":{"amount":"29.90","currency":"EUR"}}`
)

//go:embed backlog.sql
var backlogSQL string

// Database is a database of one measurement, or of one variant of it.
type Database struct {
	Name string
	URL  string
	Pool *pgxpool.Pool
}

// NewDatabase makes a database.
func (r *Rig) NewDatabase(ctx context.Context, name string) (*Database, error) {
	if err := r.Cluster.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(r.Cluster.URL(name))
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	cfg.MaxConns = writers + 1
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return &Database{Name: name, URL: cfg.ConnString(), Pool: pool}, nil
}

// Close closes the connections.
func (db *Database) Close() { db.Pool.Close() }

// Drop removes the database, and its slot if it has one: neither its WAL nor its tables are in the way of what comes next.
func (r *Rig) Drop(ctx context.Context, db *Database) error {
	err := db.DropSlot(ctx)
	db.Close()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, r.Cluster.URL("postgres"))
	if err != nil {
		return fmt.Errorf("drop a database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{db.Name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop a database: %w", err)
	}
	return nil
}

// Subscribe adds a subscription to all events.
func (db *Database) Subscribe(ctx context.Context, name, url string) error {
	_, err := db.Pool.Exec(ctx, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ($1, $2, '{*}')`,
		name, url)
	if err != nil {
		return fmt.Errorf("subscribe %s: %w", name, err)
	}
	return nil
}

// Unsubscribe removes a subscription.
func (db *Database) Unsubscribe(ctx context.Context, name string) error {
	_, err := db.Pool.Exec(ctx, `DELETE FROM outbox.subscriptions WHERE name = $1`, name)
	if err != nil {
		return fmt.Errorf("unsubscribe %s: %w", name, err)
	}
	return nil
}

// Insert writes count events with a payload in transactions of batch. It doesn't wait for the disk: this is the preparation.
func (db *Database) Insert(ctx context.Context, count, batch int, payload string) error {
	conn, err := db.Pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, backlogSQL); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	_, err = conn.Exec(ctx, `CALL pg_temp.commit_backlog($1, $2, $3, $4)`, count, batch, EventType, payload)
	if err == nil {
		_, err = conn.Exec(ctx, "RESET synchronous_commit")
	}
	if err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

// Truncate empties the outbox and the log; there must be no slot, and no relay.
func (db *Database) Truncate(ctx context.Context) error {
	if _, err := db.Pool.Exec(ctx, `TRUNCATE outbox.events, outbox.deliveries, outbox.attempts`); err != nil {
		return fmt.Errorf("empty the outbox: %w", err)
	}
	return nil
}

// waitFor waits until query returns true: then all is recorded.
func (db *Database) waitFor(ctx context.Context, query string, args ...any) error {
	const often = 20 * time.Millisecond // exact enough for CPU times, and too little to add to them
	for {
		var done bool
		if err := db.Pool.QueryRow(ctx, query, args...).Scan(&done); err != nil {
			return fmt.Errorf("wait until all is recorded: %w", err)
		}
		if done {
			return nil
		}
		select {
		case <-time.After(often):
		case <-ctx.Done():
			return fmt.Errorf("wait until all is recorded: %w", context.Cause(ctx))
		}
	}
}

// waitRecorded waits until so many deliveries of events since a time stand in the log as accepted.
func (db *Database) waitRecorded(ctx context.Context, since time.Time, count int) error {
	return db.waitFor(ctx, `SELECT count(*) >= $2 FROM outbox.deliveries WHERE status = 'accepted' AND event_created_at >= $1`,
		since, count)
}

// WaitFinished waits until nothing is on its way, or waits for its turn; a minute at most.
func (db *Database) WaitFinished(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("deliveries are unfinished"))
	defer cancel()
	return db.waitFor(ctx, `SELECT NOT EXISTS (SELECT FROM outbox.deliveries WHERE due_at IS NOT NULL)`)
}

// clock is the time in the database.
func (db *Database) clock(ctx context.Context) (at time.Time, err error) {
	if err = db.Pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
		err = fmt.Errorf("read the database's clock: %w", err)
	}
	return at, err
}

// Checkpoint writes all that is in memory to disk, so that no measurement pays for what came before it.
func (db *Database) Checkpoint(ctx context.Context) error {
	if _, err := db.Pool.Exec(ctx, `CHECKPOINT`); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// DropSlot removes the relay's replication slot, which would hold WAL for the rest of the run. The server may need a
// moment to notice that the relay has gone.
func (db *Database) DropSlot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var active bool
		err := db.Pool.QueryRow(ctx, `SELECT active FROM pg_replication_slots WHERE slot_name = $1`, db.Name).Scan(&active)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err == nil && !active {
			_, err = db.Pool.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, db.Name)
		}
		if err != nil {
			return fmt.Errorf("drop the slot: %w", err)
		}
		if active {
			time.Sleep(10 * time.Millisecond)
		}
	}
}
