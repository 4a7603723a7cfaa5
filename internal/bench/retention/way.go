package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/internal/store"
)

// way is a way to remove what is old.
type way interface {
	name() string

	// setUp makes the schema without what would slow loading down; finish adds it.
	setUp(ctx context.Context, db *database) error
	load(ctx context.Context, db *database, h history) error
	finish(ctx context.Context, db *database) error

	// tables are where further rows go.
	tables() tables

	// record writes a batch as the relay does.
	record(ctx context.Context, db store.DB, b records) error

	// remove removes the n-th day of the history; all before it are gone.
	remove(ctx context.Context, db *database, h history, n int) error

	// comeBack does what a relay has to do after a week: seven further days are over.
	comeBack(ctx context.Context, t *trial) error
}

// database is the database of one way.
type database struct {
	url  string
	pool *pgxpool.Pool
}

func (b *bench) open(ctx context.Context, name string) (*database, error) {
	if err := b.cluster.CreateDatabase(ctx, name); err != nil {
		return nil, err
	}
	return b.connect(ctx, name)
}

func (b *bench) connect(ctx context.Context, name string) (*database, error) {
	db := &database{url: b.cluster.URL(name)}
	var err error
	if db.pool, err = pgxpool.New(ctx, db.url+"&pool_max_conns=16"); err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return db, nil
}

func (b *bench) drop(ctx context.Context, db *database, name string) error {
	db.pool.Close()
	_, err := b.admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	return err
}

// run executes a script.
func (db *database) run(ctx context.Context, script string) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, script).ReadAll()
	return err
}
