package check

import (
	"testing"

	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/pgtest"
)

// What is read from schema.sql is what it makes.
func TestSchemaColumns(t *testing.T) {
	var want []string
	for _, c := range schemaColumns(outboxrelay.Schema) {
		line := "outbox." + c.table + "." + c.name
		if c.fills() != "" {
			line += " filled"
		}
		want = append(want, line)
	}
	require.ElementsMatch(t, want, pgtest.Values[string](t, pgtest.Pool(t, pgtest.Migrated(t)), `
		SELECT attrelid::regclass || '.' || attname || CASE WHEN atthasdef OR attidentity <> '' THEN ' filled' ELSE '' END
		  FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
		 WHERE relnamespace = 'outbox'::regnamespace AND relkind = 'r' AND attnum > 0`))
}
