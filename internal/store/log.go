package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Replayed is a delivery made by a replay.
type Replayed struct {
	ID             uuid.UUID
	ReplayOf       uuid.UUID
	SubscriptionID uuid.UUID
	Active         bool // Whether its subscription is there and on; otherwise the relay cancels it.
}

var replaySQL = query("replay")

// Replay makes new deliveries of the same events, due at once, and returns them in the order asked for: all of them, or
// none where one cannot be replayed. That is a *pgconn.PgError with code P0002 whose message names the delivery.
func Replay(ctx context.Context, db DB, deliveries []uuid.UUID) ([]Replayed, error) {
	rows, err := db.Query(ctx, replaySQL, deliveries)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	made, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Replayed])
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return made, nil
}

// Beginnings says what there is before the first delivery.
type Beginnings struct {
	Events        bool
	Subscriptions bool // Active ones.
}

var beginningsSQL = query("beginnings")

// LookForBeginnings says whether there are events and active subscriptions.
func LookForBeginnings(ctx context.Context, db DB) (Beginnings, error) {
	var b Beginnings
	if err := db.QueryRow(ctx, beginningsSQL).Scan(&b.Events, &b.Subscriptions); err != nil {
		return b, fmt.Errorf("look for events and subscriptions: %w", err)
	}
	return b, nil
}
