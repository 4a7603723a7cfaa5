package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// logSQL reads the log of one subscription. An attempt that was answered, cut or timed out may be known to the receiver;
// one that found no connection is not.
const logSQL = `
SELECT d.event_id, d.status, d.attempts, d.due_at IS NOT NULL,
       count(a.attempt), coalesce(min(a.attempt), 0), coalesce(max(a.attempt), 0),
       count(*) FILTER (WHERE a.response_code = 200),
       coalesce(bool_or(a.response_code = 200 AND a.attempt = d.attempts), false),
       count(*) FILTER (WHERE ` + reachedSQL + `)
  FROM outbox.deliveries AS d
  LEFT JOIN outbox.attempts AS a ON a.delivery_id = d.id
 WHERE d.subscription_id = $1
 GROUP BY d.id`

const reachedSQL = `a.response_code IS NOT NULL OR a.error_class IN ('reset', 'timeout', 'protocol', 'other')`

// toldSQL counts, for events in order, the attempts at one subscription that the receiver may know of.
const toldSQL = `
SELECT count(a.attempt) FILTER (WHERE ` + reachedSQL + `)
  FROM unnest($2::uuid[]) WITH ORDINALITY AS e(id, n)
  LEFT JOIN outbox.attempts AS a ON a.delivery_id = outbox.delivery_id(e.id, $1::text::uuid)
 GROUP BY e.n ORDER BY e.n`

// readLog reads what the database has of one subscription.
func readLog(ctx context.Context, conn *pgx.Conn, subscription string) (map[uuid.UUID]*logged, error) {
	rows, err := conn.Query(ctx, logSQL, subscription)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	defer rows.Close()
	log := make(map[uuid.UUID]*logged)
	for rows.Next() {
		var id uuid.UUID
		var l logged
		if err := rows.Scan(&id, &l.status, &l.attempts, &l.due, &l.rows, &l.lowest, &l.highest, &l.accepted, &l.lastOK, &l.reached); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		if log[id] != nil {
			return nil, fmt.Errorf("read the log: two deliveries of %s to %s", id, subscription)
		}
		log[id] = &l
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return log, nil
}

// readIDs returns the ids that a statement gives.
func readIDs(ctx context.Context, conn *pgx.Conn, sql string) (map[uuid.UUID]struct{}, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read ids: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("read ids: %w", err)
	}
	set := make(map[uuid.UUID]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set, nil
}
