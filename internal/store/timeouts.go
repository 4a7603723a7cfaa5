package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// unhurried lifts the timeouts that database or role set for everybody, until a transaction ends: what reads a whole table, or
// waits behind another that does, would be cut short each time it is tried. PostgreSQL before 17 has no transaction_timeout.
func unhurried(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		SELECT set_config(name, '0', true) FROM pg_settings
		 WHERE name IN ('statement_timeout', 'transaction_timeout', 'lock_timeout')`)
	return err
}

// inUnhurried runs statements in a transaction that no timeout of the database's ends.
func inUnhurried(ctx context.Context, db *pgxpool.Pool, statements func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if err := unhurried(ctx, tx); err != nil {
			return err
		}
		return statements(tx)
	})
}

// LiftTimeouts lifts those that would end a replication connection, or a command on it: a new slot waits for transactions under
// way, and its snapshot is held, in a transaction that does nothing, for as long as the scan takes.
func LiftTimeouts(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := conn.Exec(ctx, `
		SELECT set_config(name, '0', false) FROM pg_settings
		 WHERE name IN ('statement_timeout', 'transaction_timeout', 'lock_timeout', 'idle_session_timeout',
		                'idle_in_transaction_session_timeout')`).ReadAll()
	if err != nil {
		return fmt.Errorf("lift the timeouts of a replication connection: %w", err)
	}
	return nil
}
