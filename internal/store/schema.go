package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	outboxrelay "github.com/outboxrelay/relay"
)

const schemaVersionSQL = `SELECT coalesce((SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'outbox'), '')`

// SchemaCurrent says whether schema outbox is there in this program's version.
func SchemaCurrent(ctx context.Context, db DB) (bool, error) {
	var comment string
	if err := db.QueryRow(ctx, schemaVersionSQL).Scan(&comment); err != nil {
		return false, fmt.Errorf("look for schema outbox: %w", err)
	}
	return comment != "" && strings.Contains(outboxrelay.Schema, quoteLiteral(comment)), nil
}

// ApplySchema runs schema.sql.
func ApplySchema(ctx context.Context, conn *pgx.Conn) error {
	// Several statements need the simple protocol.
	if _, err := conn.PgConn().Exec(ctx, outboxrelay.Schema).ReadAll(); err != nil {
		// The script's own transaction is still open then.
		_, _ = conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
		return fmt.Errorf("apply schema: %w", err)
	}
	return nil
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
