package outboxrelay_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// alterDatabase changes what sessions of a database begin with, from the next one on.
func alterDatabase(t *testing.T, address, setting string) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	pgtest.Execute(t, connect(t, address), `ALTER DATABASE `+strings.TrimPrefix(u.Path, "/")+` SET `+setting)
}

// What a backslash in a string means is a setting, of whoever sets up and of whoever calls a function.
func TestTheSchemaHasNoBackslash(t *testing.T) {
	require.NotContains(t, outboxrelay.Schema, `\`)
}

func TestSchemaWhereBackslashesEscape(t *testing.T) {
	t.Parallel()

	standard, byFile, byProgram := pgtest.Migrated(t), pgtest.URL(t), pgtest.URL(t)
	alterDatabase(t, byFile, "standard_conforming_strings = off")
	alterDatabase(t, byProgram, "standard_conforming_strings = off")
	require.Empty(t, psql(t, byFile), "no warning, no notice")
	apply(t, connect(t, byProgram))
	made := catalogue(t, connect(t, standard), false)
	requireSame(t, made, catalogue(t, connect(t, byFile), false))
	requireSame(t, made, catalogue(t, connect(t, byProgram), false))
}

// Where transactions see what there was when they began, those that wait for another to set up must see what that has made.
func TestSchemaBySeveralWhereTransactionsAreSerializable(t *testing.T) {
	t.Parallel()

	address := pgtest.Migrated(t)
	alterDatabase(t, address, "default_transaction_isolation = serializable")
	first := connect(t, address)
	pgtest.Execute(t, first, `ALTER TABLE outbox.relay_state DROP COLUMN publication_version`)
	script, found := strings.CutSuffix(strings.TrimSpace(outboxrelay.Schema), "COMMIT;")
	require.True(t, found)
	_, err := first.PgConn().Exec(t.Context(), script).ReadAll()
	require.NoError(t, err)

	second := connect(t, address)
	ended := make(chan error, 1)
	go func() { ended <- store.ApplySchema(context.Background(), second) }()
	require.Eventually(t, func() bool {
		return pgtest.Value[bool](t, first, `SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND locktype = 'advisory' AND NOT granted)`,
			second.PgConn().PID())
	}, time.Minute, 5*time.Millisecond)
	pgtest.Execute(t, first, `COMMIT`)
	require.NoError(t, <-ended)
}

// publicLacks are the functions, but for those of triggers, that not everybody may call.
const publicLacks = `SELECT proname::text FROM pg_proc WHERE pronamespace = 'outbox'::regnamespace
	AND prorettype <> 'trigger'::regtype AND NOT has_function_privilege('public', oid, 'EXECUTE') ORDER BY 1`

// Where default privileges take the right to call new functions from everybody, the rights on the tables are enough all the same.
func TestHardenedDefaultPrivileges(t *testing.T) {
	t.Parallel()

	address := pgtest.URL(t)
	conn := connect(t, address)
	pgtest.Execute(t, conn, `ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`)
	require.Empty(t, psql(t, address), "no warning, no notice")
	require.Empty(t, pgtest.Values[string](t, conn, publicLacks))

	host := connect(t, pgtest.Role(t, address, useSchema, insertEvents))
	pgtest.Execute(t, host, `INSERT INTO outbox.events (type, payload) VALUES ('defaults', '{}')`)
	pgtest.Value[uuid.UUID](t, host, `SELECT outbox.emit('emitted', '{}')`)
	_, err := host.Exec(t.Context(), `SELECT outbox.replay(outbox.uuid7())`)
	requireRefused(t, err, "42501", "")
	settings := connect(t, pgtest.Role(t, address, useSchema, `GRANT SELECT, INSERT, UPDATE ON outbox.subscriptions TO %s`))
	pgtest.Execute(t, settings, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`)
	pgtest.Execute(t, settings, `UPDATE outbox.subscriptions SET active = false`)
	require.False(t, pgtest.Value[bool](t, conn, `SELECT has_function_privilege('public', 'outbox.journal_subscription()', 'EXECUTE')`))

	// Later on it is the operator's to say who may call what, and what is made anew begins as before.
	pgtest.Execute(t, conn, `REVOKE EXECUTE ON FUNCTION outbox.replay FROM PUBLIC`)
	pgtest.Execute(t, conn, `DROP FUNCTION outbox.emit`)
	before := catalogue(t, conn, true)
	apply(t, conn)
	require.Equal(t, []string{"replay"}, pgtest.Values[string](t, conn, publicLacks))
	require.Empty(t, without(before, catalogue(t, conn, true)), "nothing else was changed")
}
