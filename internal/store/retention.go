package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	oldEventsSQL        = query("old_events")
	deleteEventsSQL     = query("delete_events")
	expireDeliveriesSQL = query("expire_deliveries")
)

// Old is events that retention may remove once the slot has passed Position: an event may be old when it is inserted.
type Old struct {
	IDs      []uuid.UUID   // The oldest first.
	Until    time.Time     // Up to when they were looked for: the age asked for or, where there are more, the last one's time.
	Position pglogrepl.LSN // All of them were committed before it.
}

// OldEvents returns the oldest events from a time on, up to limit of them, that are older than age and whose deliveries are
// all finished.
func OldEvents(ctx context.Context, db DB, age time.Duration, from time.Time, limit int) (Old, error) {
	var old Old
	var ids pgtype.FlatArray[pgtype.UUID]
	var text string
	err := db.QueryRow(ctx, oldEventsSQL, age.Microseconds(), from, limit).Scan(&ids, &old.Until, &text)
	if err == nil {
		old.Position, err = pglogrepl.ParseLSN(text)
	}
	if err != nil {
		return Old{}, fmt.Errorf("look for old events: %w", err)
	}
	old.IDs = make([]uuid.UUID, len(ids))
	for i, id := range ids {
		old.IDs[i] = id.Bytes
	}
	return old, nil
}

// DeleteEvents removes those of the events that have no unfinished delivery and returns how many.
func DeleteEvents(ctx context.Context, db DB, ids []uuid.UUID) (int64, error) {
	tag, err := db.Exec(ctx, deleteEventsSQL, uuidsOf(ids))
	if err != nil {
		return 0, fmt.Errorf("remove old events: %w", err)
	}
	return tag.RowsAffected(), nil
}

// ExpireDeliveries removes up to limit finished deliveries, with their attempts, whose event happened between two times and
// is gone, the oldest first. It returns how many, and the time of the last one's event: where there are more, they are from
// then on.
func ExpireDeliveries(ctx context.Context, db DB, from, until time.Time, limit int) (removed int64, last time.Time, err error) {
	if err := db.QueryRow(ctx, expireDeliveriesSQL, from, until, limit).Scan(&removed, &last); err != nil {
		return 0, from, fmt.Errorf("remove old deliveries: %w", err)
	}
	return removed, last, nil
}
