package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
)

var (
	markChangesSQL     = query("mark_changes")
	subscriptionsAtSQL = query("subscriptions_at")
	changesAheadSQL    = query("changes_ahead")
	changesUnreadSQL   = query("changes_unread")
	pruneChangesSQL    = query("prune_changes")
)

// MarkChanges notes where in the WAL subscription changes were committed and returns how many are marked. It is fewer where
// one was pruned, or is not visible yet: the stream brings a transaction while its commit may still wait for a standby.
func MarkChanges(ctx context.Context, db DB, ids []int64, commits []pglogrepl.LSN) (int, error) {
	lsns := make([]string, len(commits))
	for i, lsn := range commits {
		lsns[i] = lsn.String()
	}
	tag, err := db.Exec(ctx, markChangesSQL, ids, lsns)
	if err != nil {
		return 0, fmt.Errorf("note subscription changes: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

var visibleSQL = query("visible")

// Visible reports whether all of these transactions, which the stream has brought, are seen by everybody.
func Visible(ctx context.Context, db DB, xids []uint32) (visible bool, err error) {
	ids := make([]int64, len(xids))
	for i, xid := range xids {
		ids[i] = int64(xid)
	}
	if err := db.QueryRow(ctx, visibleSQL, ids).Scan(&visible); err != nil {
		return false, fmt.Errorf("look for subscription changes: %w", err)
	}
	return visible, nil
}

// SubscriptionsAt returns the subscriptions as they were at a position, each as the JSON of its row.
func SubscriptionsAt(ctx context.Context, db DB, at pglogrepl.LSN) ([]string, error) {
	rows, err := db.Query(ctx, subscriptionsAtSQL, at.String())
	if err != nil {
		return nil, fmt.Errorf("load subscriptions: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("load subscriptions: %w", err)
	}
	return all, nil
}

// Change is a change that switches a subscription off or removes it.
type Change struct {
	ID             int64
	SubscriptionID uuid.UUID
}

// ChangesAhead returns the changes that switch a subscription off and are still to come in a stream that begins at a
// position.
func ChangesAhead(ctx context.Context, db DB, from pglogrepl.LSN) ([]Change, error) {
	rows, err := db.Query(ctx, changesAheadSQL, from.String())
	return collectChanges(rows, err)
}

// ChangesUnread returns those that no relay has read yet.
func ChangesUnread(ctx context.Context, db DB) ([]Change, error) {
	rows, err := db.Query(ctx, changesUnreadSQL)
	return collectChanges(rows, err)
}

func collectChanges(rows pgx.Rows, err error) ([]Change, error) {
	if err != nil {
		return nil, fmt.Errorf("look for subscription changes: %w", err)
	}
	changes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Change])
	if err != nil {
		return nil, fmt.Errorf("look for subscription changes: %w", err)
	}
	return changes, nil
}

// PruneChanges removes changes before a position that later ones, before it as well, replace.
func PruneChanges(ctx context.Context, db DB, before pglogrepl.LSN) error {
	if _, err := db.Exec(ctx, pruneChangesSQL, before.String()); err != nil {
		return fmt.Errorf("prune subscription changes: %w", err)
	}
	return nil
}
