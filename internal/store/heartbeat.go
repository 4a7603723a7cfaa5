package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Heartbeat is a relay's row in outbox.relays.
type Heartbeat struct {
	ID        uuid.UUID
	Host      string
	PID       int
	Version   string
	Slot      string
	StartedAt time.Time
	Leads     bool
	Ready     bool
	State     string // Why (not) ready.
	InFlight  int
}

var (
	beatSQL             = query("beat")
	endHeartbeatSQL     = query("end_heartbeat")
	forgetHeartbeatsSQL = query("forget_heartbeats")
)

// Beat writes a relay's row.
func Beat(ctx context.Context, db DB, h Heartbeat) error {
	_, err := db.Exec(ctx, beatSQL, h.ID, h.Host, h.PID, h.Version, h.Slot, h.StartedAt, h.Leads, h.Ready, h.State, h.InFlight)
	if err != nil {
		return fmt.Errorf("write heartbeat: %w", err)
	}
	return nil
}

// EndHeartbeat removes a relay's row.
func EndHeartbeat(ctx context.Context, db DB, id uuid.UUID) error {
	if _, err := db.Exec(ctx, endHeartbeatSQL, id); err != nil {
		return fmt.Errorf("end heartbeat: %w", err)
	}
	return nil
}

var rivalsSQL = query("rivals")

// Rivals returns the other slots that relays of this database read: each sends every event.
func Rivals(ctx context.Context, db DB, slot string, seenWithin time.Duration) ([]string, error) {
	rows, err := db.Query(ctx, rivalsSQL, slot, seenWithin.Seconds())
	if err != nil {
		return nil, fmt.Errorf("look for relays with other slots: %w", err)
	}
	slots, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for relays with other slots: %w", err)
	}
	return slots, nil
}
