package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
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
