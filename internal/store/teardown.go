package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

var (
	contentsSQL           = query("contents")
	dependentsSQL         = query("dependents")
	publishedElsewhereSQL = query("published_elsewhere")
)

// Contents is what schema outbox holds.
type Contents struct {
	Exists     bool // There is a schema of that name.
	Ours       bool // It has the relay's tables.
	Bytes      int64
	Events     int64    // Up to MostContents.
	Deliveries int64    // As well.
	Dependents []string // What lies outside of it and goes with it, described as Postgres does.
}

// MostContents is how far events and deliveries are counted.
const MostContents = 100_000

// FindContents returns what dropping schema outbox would remove.
func FindContents(ctx context.Context, db DB) (Contents, error) {
	var c Contents
	err := db.QueryRow(ctx, "SELECT to_regnamespace('outbox') IS NOT NULL, to_regclass('outbox.relay_state') IS NOT NULL").Scan(&c.Exists, &c.Ours)
	if err != nil || !c.Ours {
		return c, wrapUnlessNil("look for schema outbox", err)
	}
	if err := db.QueryRow(ctx, contentsSQL, MostContents).Scan(&c.Bytes, &c.Events, &c.Deliveries); err != nil {
		return c, fmt.Errorf("look into schema outbox: %w", err)
	}
	c.Dependents, err = texts(ctx, db, dependentsSQL)
	return c, wrapUnlessNil("look for what depends on schema outbox", err)
}

// PublishedElsewhere returns the tables outside of schema outbox that a publication publishes.
func PublishedElsewhere(ctx context.Context, db DB, publication string) ([]string, error) {
	tables, err := texts(ctx, db, publishedElsewhereSQL, publication)
	return tables, wrapUnlessNil("look up publication", err)
}

func texts(ctx context.Context, db DB, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func wrapUnlessNil(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// ErrLed says that a relay is at work with a slot.
var ErrLed = errors.New("a relay is at work with the slot")

// Removal is what is to be removed of what the relay made.
type Removal struct {
	Slot        string // Its state is forgotten; the slot itself is dropped where DropSlot says so.
	DropSlot    bool
	Publication string // Empty: it stays.
	Schema      bool
}

// Remove removes it, all or nothing: the slot, which no rollback brings back, goes last. It returns ErrLed while a relay
// leads, and keeps others from taking the lead meanwhile.
func Remove(ctx context.Context, db *pgxpool.Pool, r Removal) error {
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var free bool
		const lead = "SELECT pg_try_advisory_xact_lock(hashtextextended('relay slot ' || $1, 0))"
		if err := tx.QueryRow(ctx, lead, r.Slot).Scan(&free); err != nil {
			return err
		}
		if !free {
			return ErrLed
		}
		if err := r.dropObjects(ctx, tx); err != nil {
			return err
		}
		if r.DropSlot {
			return DropSlot(ctx, tx, r.Slot)
		}
		return nil
	})
	return wrapUnlessNil("remove what the relay made", err)
}

func (r Removal) dropObjects(ctx context.Context, tx pgx.Tx) error {
	if r.Publication != "" {
		if _, err := tx.Exec(ctx, "DROP PUBLICATION IF EXISTS "+pgx.Identifier{r.Publication}.Sanitize()); err != nil {
			return err
		}
	}
	if r.Schema {
		_, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS outbox CASCADE")
		return err
	}
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('outbox.relay_state') IS NOT NULL").Scan(&there); err != nil || !there {
		return err
	}
	return ForgetState(ctx, tx, r.Slot)
}
