package outboxrelay_test

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/internal/store"
)

func TestMain(m *testing.M) { pgtest.MainLeak(m) }

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// connectImpatient is connect; a statement that waits for a lock then fails soon. Nothing else can make it fail, however
// slow the machine.
func connectImpatient(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn := connect(t, url)
	pgtest.Execute(t, conn, `SET lock_timeout = '3s'`)
	return conn
}

// requireRefused asks for an error of a SQLSTATE, and of a constraint where one is named.
func requireRefused(t testing.TB, err error, code, constraint string, about ...any) {
	t.Helper()
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused, about...)
	require.Equal(t, code, refused.Code, refused.Message)
	require.Equal(t, constraint, refused.ConstraintName, refused.Message)
}

// apply runs schema.sql as the relay does.
func apply(t testing.TB, conn *pgx.Conn) {
	t.Helper()
	require.NoError(t, store.ApplySchema(t.Context(), conn))
}

// psql runs schema.sql as its first lines say, and returns what psql has to say about it.
func psql(t *testing.T, url string) string {
	t.Helper()
	program := "psql"
	if dir, err := postgres.Find(t.Context()); err == nil {
		if beside, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			program = beside
		}
	}
	cmd := exec.CommandContext(t.Context(), program, "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-f", "schema.sql", url)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Run(), "this test needs psql, of the package postgresql-client: %s", &output)
	return output.String()
}

// catalogue describes all that schema outbox consists of: a line each, with who may use it. With identities, a line also
// tells an object, or a column's place, from another one made later in its stead.
func catalogue(t *testing.T, db store.DB, identities bool) []string {
	t.Helper()
	return pgtest.Values[string](t, db, `
		SELECT concat_ws(' ', what, name, definition, CASE WHEN $1::boolean THEN identity END) FROM (
		  SELECT 'schema', nspname::text, concat_ws(' ', nspowner::regrole, nspacl), oid::text
		    FROM pg_namespace WHERE nspname = 'outbox'
		  UNION ALL
		  SELECT 'relation', relname, concat_ws(' ', relkind, relowner::regrole, relacl, reloptions), concat_ws(' ', oid, relfilenode)
		    FROM pg_class WHERE relnamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'column', c.relname || '.' || a.attname,
		         concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attacl,
		                   pg_get_expr(d.adbin, d.adrelid)), concat_ws(' ', a.attnum, d.oid)
		    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
		   WHERE c.relnamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'constraint', conname, concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid)), oid::text
		    FROM pg_constraint WHERE connamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'index', indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid), indexrelid::text
		    FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid WHERE c.relnamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'trigger', tgname, concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled), t.oid::text
		    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid WHERE c.relnamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'function', oid::regprocedure::text, concat_ws(' ', proowner::regrole, proacl, pg_get_functiondef(oid)), oid::text
		    FROM pg_proc WHERE pronamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'view', viewname, definition, '' FROM pg_views WHERE schemaname = 'outbox'
		  UNION ALL
		  SELECT 'comment', pg_describe_object(classoid, objoid, objsubid), description, ''
		    FROM pg_description, pg_identify_object(classoid, objoid, objsubid) AS o
		   WHERE o.schema = 'outbox' OR o.type = 'schema' AND o.name = 'outbox'
		) AS all_of_it(what, name, definition, identity)
		ORDER BY 1`, identities)
}

// requireSame asks for the same lines, and shows only those that differ.
func requireSame(t *testing.T, before, after []string) {
	t.Helper()
	lost, added := without(before, after), without(after, before)
	require.Empty(t, append(lost, added...), "%d lines before, %d after", len(before), len(after))
}

// without returns the lines of a that b does not have.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
}

func TestSchemaBothWays(t *testing.T) {
	t.Parallel()

	byFile, byProgram := pgtest.URL(t), pgtest.URL(t)
	require.Empty(t, psql(t, byFile), "no warning, no notice")
	apply(t, connect(t, byProgram))
	made := catalogue(t, connect(t, byFile), false)
	require.Greater(t, len(made), 100)
	requireSame(t, made, catalogue(t, connect(t, byProgram), false))
}

// A second application changes nothing, not even what an operator has added or allowed; nor does a third, the other way.
func TestSchemaAgain(t *testing.T) {
	t.Parallel()

	url := pgtest.URL(t)
	conn := connect(t, url)
	apply(t, conn)
	pgtest.Role(t, url, `GRANT USAGE ON SCHEMA outbox TO %s`, `GRANT INSERT ON outbox.events TO %s`,
		`GRANT SELECT ON outbox.delivery_log TO %s`, `GRANT EXECUTE ON FUNCTION outbox.replay TO %s`,
		`REVOKE EXECUTE ON FUNCTION outbox.replay FROM public`)
	pgtest.Execute(t, conn, `CREATE INDEX deliveries_of_mine_idx ON outbox.deliveries (url)`)
	pgtest.Execute(t, conn, `ALTER TABLE outbox.deliveries SET (fillfactor = 70)`)
	pgtest.Execute(t, conn, `INSERT INTO outbox.events (type, payload) VALUES ('a', '{}')`)
	pgtest.Execute(t, conn, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`)
	before := catalogue(t, conn, true)

	apply(t, conn)
	requireSame(t, before, catalogue(t, conn, true))
	require.Empty(t, psql(t, url), "no warning, no notice")
	requireSame(t, before, catalogue(t, conn, true))
	require.Equal(t, []int{1, 1, 1}, pgtest.Values[int](t, conn, `
		SELECT count(*) FROM outbox.events UNION ALL SELECT count(*) FROM outbox.subscriptions
		UNION ALL SELECT count(*) FROM outbox.subscription_changes`))
}

// What was dropped by mistake, or came later than an earlier version, is made.
func TestSchemaIsMadeWhole(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	before := catalogue(t, conn, false)
	for _, statement := range []string{
		`DROP INDEX outbox.deliveries_due_idx`, `DROP INDEX outbox.events_created_at_idx`,
		`DROP TRIGGER subscriptions_journal ON outbox.subscriptions`, `DROP VIEW outbox.delivery_log`,
		`DROP FUNCTION outbox.replay`, `DROP TABLE outbox.attempts`, `COMMENT ON COLUMN outbox.events.id IS NULL`,
		`GRANT EXECUTE ON FUNCTION outbox.journal_subscription TO public`,
		`ALTER TABLE outbox.events DROP COLUMN traceparent`, `ALTER TABLE outbox.subscriptions DROP COLUMN rate`,
		`ALTER TABLE outbox.subscriptions DROP COLUMN concurrency, DROP COLUMN timeout`, `DROP TABLE outbox.event_types`,
		`ALTER TABLE outbox.relay_state DROP COLUMN read_lsn, DROP COLUMN publication_version`,
	} {
		pgtest.Execute(t, conn, statement)
	}
	apply(t, conn)
	requireSame(t, before, catalogue(t, conn, false))
}

// Checks that an earlier version lacked hold for what comes; what was written before them stays.
func TestSchemaGetsTheChecksThatCameLater(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	pgtest.Execute(t, conn, `ALTER TABLE outbox.events DROP CONSTRAINT events_tenant_check, DROP CONSTRAINT events_user_id_check`)
	pgtest.Execute(t, conn, `ALTER TABLE outbox.subscriptions DROP CONSTRAINT subscriptions_tenant_check, DROP CONSTRAINT subscriptions_times_check`)
	long := strings.Repeat("a", 3000)
	pgtest.Execute(t, conn, `INSERT INTO outbox.events (type, payload, tenant, user_id) VALUES ('a', '{}', $1, $1)`, long)
	apply(t, conn)
	apply(t, conn)
	for statement, constraint := range map[string]string{
		`INSERT INTO outbox.events (type, payload, tenant) SELECT 'a', '{}', $1`:                                              "events_tenant_check",
		`INSERT INTO outbox.events (type, payload, user_id) SELECT 'a', '{}', $1`:                                             "events_user_id_check",
		`INSERT INTO outbox.subscriptions (url, event_types, tenant) SELECT 'https://example.com', '{*}', $1`:                 "subscriptions_tenant_check",
		`INSERT INTO outbox.subscriptions (url, event_types, created_at) SELECT 'https://' || left($1, 1), '{*}', 'infinity'`: "subscriptions_times_check",
	} {
		_, err := conn.Exec(t.Context(), statement, long)
		requireRefused(t, err, "23514", constraint)
	}
	require.Equal(t, 1, pgtest.Value[int](t, conn, `SELECT count(*) FROM outbox.events`))
}

// Several relays may start on an empty database at once.
func TestSchemaBySeveralAtOnce(t *testing.T) {
	t.Parallel()

	url := pgtest.URL(t)
	const relays = 4
	errs := make(chan error, relays)
	for range relays {
		conn := connect(t, url)
		go func() { errs <- store.ApplySchema(context.Background(), conn) }()
	}
	for range relays {
		require.NoError(t, <-errs)
	}
}

func TestSchemaThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()

	url := pgtest.URL(t)
	pgtest.Execute(t, connect(t, url), `CREATE SCHEMA outbox`)
	pgtest.Execute(t, connect(t, url), `CREATE TABLE outbox.relay_state (mine int)`)
	conn := connect(t, url)
	require.ErrorContains(t, store.ApplySchema(t.Context(), conn), "apply schema: ")
	require.Equal(t, []string{"relay_state"}, pgtest.Values[string](t, conn,
		`SELECT relname::text FROM pg_class WHERE relnamespace = 'outbox'::regnamespace`), "and the connection is of use")
}

// The file is one script: nothing outside its transaction, nothing that only psql knows.
func TestSchemaIsOneTransaction(t *testing.T) {
	t.Parallel()

	var statements []string
	for line := range strings.Lines(outboxrelay.Schema) {
		require.False(t, strings.HasPrefix(line, `\`), "a psql command: %s", line)
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			statements = append(statements, line)
		}
	}
	require.Equal(t, "BEGIN;", statements[0])
	require.Equal(t, "COMMIT;", statements[len(statements)-1])
}

// In a database of any encoding.
func TestTheSchemaIsASCII(t *testing.T) {
	for i, line := range strings.Split(outboxrelay.Schema, "\n") {
		require.Equal(t, -1, strings.IndexFunc(line, func(r rune) bool { return r > 127 }), "line %d", i+1)
	}
}
