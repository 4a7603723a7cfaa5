package store

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	outboxrelay "github.com/outboxrelay/relay"
)

const schemaVersionSQL = `SELECT coalesce((SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'outbox'), '')`

// SchemaCurrent says whether schema outbox is there in this program's version, or in a later one, which must not be turned
// back: during an upgrade, relays of both versions start.
func SchemaCurrent(ctx context.Context, db DB) (bool, error) {
	comment, err := schemaComment(ctx, db)
	if err != nil {
		return false, err
	}
	return comment != "" && strings.Contains(outboxrelay.Schema, quoteLiteral(comment)) || laterVersion(comment), nil
}

// SchemaLater says whether schema outbox is there in a later version than this program's.
func SchemaLater(ctx context.Context, db DB) (bool, error) {
	comment, err := schemaComment(ctx, db)
	return laterVersion(comment), err
}

func schemaComment(ctx context.Context, db DB) (comment string, err error) {
	if err := db.QueryRow(ctx, schemaVersionSQL).Scan(&comment); err != nil {
		return "", fmt.Errorf("look for schema outbox: %w", err)
	}
	return comment, nil
}

var schemaVersion = regexp.MustCompile(`Schema version (\d+)\.`)

func laterVersion(comment string) bool { return versionIn(comment) > versionIn(outboxrelay.Schema) }

// versionIn returns the version that a schema's comment names, or 0.
func versionIn(text string) int {
	match := schemaVersion.FindStringSubmatch(text)
	if match == nil {
		return 0
	}
	n, _ := strconv.Atoi(match[1]) // Digits.
	return n
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
