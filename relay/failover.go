package relay

import (
	"context"
	"fmt"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/store"
)

// createSlot makes the replication slot and exports its snapshot. Where the server knows them, from PostgreSQL 17 on, it is
// a failover slot: a standby that synchronises slots has it as well, so that a promotion needs no scan.
func (r *Relay) createSlot(ctx context.Context, conn *pgconn.PgConn) (pglogrepl.CreateReplicationSlotResult, error) {
	name := r.cfg.Replication.Slot
	failover, err := store.FindFailover(ctx, r.db, name)
	if err != nil {
		return pglogrepl.CreateReplicationSlotResult{}, err
	}
	options := " EXPORT_SNAPSHOT"
	if failover.Known {
		options = " (SNAPSHOT 'export', FAILOVER true)"
	}
	made, err := pglogrepl.ParseCreateReplicationSlot(
		conn.Exec(ctx, `CREATE_REPLICATION_SLOT "`+name+`" LOGICAL pgoutput`+options))
	if err != nil {
		return made, fmt.Errorf("make replication slot %q: %w", name, err)
	}
	return made, nil
}

// surviveFailover turns a slot that was made otherwise, or before an upgrade, into a failover slot. The relay works
// without, so a server that refuses is no error.
func (r *Relay) surviveFailover(ctx context.Context, conn *pgconn.PgConn) {
	name := r.cfg.Replication.Slot
	failover, err := store.FindFailover(ctx, r.db, name)
	if err == nil && failover.Known && !failover.Slot {
		_, err = conn.Exec(ctx, `ALTER_REPLICATION_SLOT "`+name+`" (FAILOVER true)`).ReadAll()
	}
	if err != nil {
		r.log.Warn("cannot make the replication slot a failover slot: a standby that is promoted will not have it, and the "+
			"outbox will be scanned", "slot", name, "error", explain(err))
	}
}
