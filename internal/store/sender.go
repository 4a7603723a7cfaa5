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
	// RepliedAt is the same as a time; zero where that may not be seen.
	RepliedAt time.Time
	IsRelay   bool // Its connection bears the same application_name as this one.
}

var senderSQL = query("sender")

// FindSender returns the process that streams a slot, or nil where none does.
func FindSender(ctx context.Context, db DB, slot string) (*Sender, error) {
	var s Sender
	var replied int64
	err := db.QueryRow(ctx, senderSQL, slot).Scan(&s.PID, &s.Listens, &s.Reply, &replied, &s.IsRelay)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the process that streams the slot: %w", err)
	}
	if replied != 0 {
		s.RepliedAt = time.UnixMicro(replied)
	}
	return &s, nil
}

// endTries is how often a process is told to end: at the first time one that was sending tells its reader so, and where that
// one has vanished it waits for room in a full connection; at the second it gives that up (ProcessClientWriteInterrupt in
// PostgreSQL's postgres.c).
const endTries = 4

// EndSender ends the process that streams a slot, if it is still that one, and waits for its end, for a time. It returns an error
// where that does not come. It needs no more rights than those of the role that reads the stream.
func EndSender(ctx context.Context, db DB, slot string, pid int, within time.Duration) error {
	const sql = "SELECT pg_terminate_backend(active_pid, $3) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid = $2"
	for range endTries {
		var ended bool
		err := db.QueryRow(ctx, sql, slot, pid, within.Milliseconds()/endTries).Scan(&ended)
		if errors.Is(err, pgx.ErrNoRows) || ended {
			return nil
		}
		if err != nil {
			return fmt.Errorf("end the process that streams the slot: %w", err)
		}
	}
	return fmt.Errorf("end the process that streams the slot: it has not ended within %s", within)
}
