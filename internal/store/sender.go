package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sender is the server's process that streams a slot.
type Sender struct {
	PID     int
	Listens bool   // It waits for WAL or for its reader, and reads what comes meanwhile. It does not while it decodes.
	Reply   string // When the last status that it has read was sent, by the reader's clock; empty where that may not be seen.
	IsRelay bool   // Its connection bears the same application_name as this one.
}

var senderSQL = query("sender")

// FindSender returns the process that streams a slot, or nil where none does.
func FindSender(ctx context.Context, db DB, slot string) (*Sender, error) {
	var s Sender
	err := db.QueryRow(ctx, senderSQL, slot).Scan(&s.PID, &s.Listens, &s.Reply, &s.IsRelay)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the process that streams the slot: %w", err)
	}
	return &s, nil
}

// EndSender ends the process that streams a slot, if it is still that one, and waits for its end, for a time. It needs no more
// rights than those of the role that reads the stream.
func EndSender(ctx context.Context, db DB, slot string, pid int, within time.Duration) error {
	const sql = "SELECT pg_terminate_backend(active_pid, $3) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid = $2"
	if _, err := db.Exec(ctx, sql, slot, pid, within.Milliseconds()); err != nil {
		return fmt.Errorf("end the process that streams the slot: %w", err)
	}
	return nil
}
