package store

import (
	"context"
	"fmt"
)

// Failover says whether a slot outlives the primary.
type Failover struct {
	Known bool // The server knows failover slots: PostgreSQL 17 and later.
	Slot  bool // The slot is there and is one.
}

var failoverSQL = query("failover")

// FindFailover returns it for the slot of that name.
func FindFailover(ctx context.Context, db DB, name string) (Failover, error) {
	var f Failover
	if err := db.QueryRow(ctx, failoverSQL, name).Scan(&f.Known, &f.Slot); err != nil {
		return f, fmt.Errorf("look whether the slot is a failover slot: %w", err)
	}
	return f, nil
}
