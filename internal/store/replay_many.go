package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Replayable chooses deliveries of one subscription: those of events of a time that ended in one of the statuses and were
// not replayed since.
type Replayable struct {
	SubscriptionID uuid.UUID
	Since          time.Time // Of the event; included.
	Until          time.Time // Not included.
	Statuses       []string
	Type           string // Empty: any.
	UserID         string // Empty: any.
}

var (
	countReplayableSQL = query("count_replayable")
	replayBatchSQL     = query("replay_batch")
)

// CountReplayable returns how many deliveries fit, and how many more would if their events were not gone.
func CountReplayable(ctx context.Context, db *pgxpool.Pool, which Replayable) (fit, gone int64, err error) {
	err = inUnhurried(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, countReplayableSQL, which.SubscriptionID, which.Since, which.Until, which.Statuses, which.Type, which.UserID).
			Scan(&fit, &gone)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count deliveries: %w", err)
	}
	return fit, gone, nil
}

// replayBatch is how many deliveries are replayed in one transaction: some tens of milliseconds.
const replayBatch = 1000

// ReplayAll makes new deliveries of those that fit, at most limit, in batches of a transaction each, and reports after
// each how many it has made so far. It returns that number also where an error ends it: what was made stays, and a later
// call goes on with the rest.
//
// No delivery is replayed twice, however often and by however many this is called at once: one that was replayed no longer
// fits.
func ReplayAll(ctx context.Context, db *pgxpool.Pool, which Replayable, limit int64, report func(made int64)) (int64, error) {
	var made int64
	begin, err := timeOf(ctx, db)
	if err != nil {
		return 0, err
	}
	at := place{which.Since, uuid.Nil}
	for vanished := 0; made < limit; {
		n, next, err := replayOne(ctx, db, which, begin, at, min(replayBatch, limit-made))
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "P0002" && vanished < mostVanished { // no_data_found
			vanished++ // Retention removed an event between looking and replaying; the next look does not see it.
			continue
		}
		if err != nil {
			return made, fmt.Errorf("replay: %w", err)
		}
		if n == 0 {
			break
		}
		made += n
		at = next
		report(made)
	}
	return made, nil
}

// mostVanished is how often a batch that retention got ahead of is tried again.
const mostVanished = 20

// place is where a batch ended.
type place struct {
	createdAt time.Time
	id        uuid.UUID
}

func replayOne(
	ctx context.Context, db *pgxpool.Pool, which Replayable, begin uuid.UUID, at place, limit int64,
) (n int64, next place, err error) {
	err = inUnhurried(ctx, db, func(tx pgx.Tx) error {
		// Another replay of this subscription ends its batch first; the statement after that sees it.
		const lock = "SELECT pg_advisory_xact_lock(hashtextextended('relay replay ' || $1, 0))"
		if _, err := tx.Exec(ctx, lock, which.SubscriptionID.String()); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, replayBatchSQL, which.SubscriptionID, which.Since, which.Until, which.Statuses, which.Type,
			which.UserID, begin, at.createdAt, at.id, limit)
		if err != nil {
			return err
		}
		var made uuid.UUID
		_, err = pgx.ForEachRow(rows, []any{&next.id, &next.createdAt, &made}, func() error { n++; return nil })
		return err
	})
	return n, next, err
}

// timeOf returns the smallest UUID of version 7 that the database makes from now on.
func timeOf(ctx context.Context, db DB) (uuid.UUID, error) {
	var now int64
	if err := db.QueryRow(ctx, "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint").Scan(&now); err != nil {
		return uuid.Nil, fmt.Errorf("ask for the time: %w", err)
	}
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(now)<<16)
	return id, nil
}
