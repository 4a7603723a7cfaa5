package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
)

var (
	oldEventsSQL        = query("old_events")
	deleteEventsSQL     = query("delete_events")
	expireDeliveriesSQL = query("expire_deliveries")
)

// OldEvents returns up to limit events older than age whose deliveries are all finished, and a position that all of
// them were committed before. Only when the slot has passed it may they be removed: an event may be old when it is
// inserted.
func OldEvents(ctx context.Context, db DB, age time.Duration, limit int) ([]uuid.UUID, pglogrepl.LSN, error) {
	var ids []uuid.UUID
	var text string
	if err := db.QueryRow(ctx, oldEventsSQL, age.Microseconds(), limit).Scan(&ids, &text); err != nil {
		return nil, 0, fmt.Errorf("look for old events: %w", err)
	}
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		return nil, 0, fmt.Errorf("look for old events: %w", err)
	}
	return ids, lsn, nil
}

// DeleteEvents removes those of the events that have no unfinished delivery and returns how many.
func DeleteEvents(ctx context.Context, db DB, ids []uuid.UUID) (int64, error) {
	tag, err := db.Exec(ctx, deleteEventsSQL, uuidsOf(ids))
	if err != nil {
		return 0, fmt.Errorf("remove old events: %w", err)
	}
	return tag.RowsAffected(), nil
}

// ExpireDeliveries removes up to limit finished deliveries, with their attempts, whose event is older than age and gone.
// It returns how many.
func ExpireDeliveries(ctx context.Context, db DB, age time.Duration, limit int) (int64, error) {
	tag, err := db.Exec(ctx, expireDeliveriesSQL, age.Microseconds(), limit)
	if err != nil {
		return 0, fmt.Errorf("remove old deliveries: %w", err)
	}
	return tag.RowsAffected(), nil
}
