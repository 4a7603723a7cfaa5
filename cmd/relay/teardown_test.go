package main

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// left is what there is of the relay: slot, publication, schema, state of the slot.
func left(t *testing.T, db *pgxpool.Pool) (parts [3]bool) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1),
		EXISTS (SELECT FROM pg_publication WHERE pubname = $1), to_regnamespace('outbox') IS NOT NULL`,
		os.Getenv("RELAY_REPLICATION_SLOT")).Scan(&parts[0], &parts[1], &parts[2]))
	return parts
}

func TestTeardown(t *testing.T) {
	db := on(t, pgtest.URL(t))
	slot := os.Getenv("RELAY_REPLICATION_SLOT")
	require.Equal(t, "Nothing of the relay is here: nothing to remove.\n", did(t, "teardown"))
	require.Equal(t, "Nothing of the relay is here: nothing to remove.\n", did(t, "teardown", "--schema"))
	did(t, "init")
	all := [3]bool{true, true, true}

	said := did(t, "teardown", "--dry-run")
	require.Regexp(t, `^This would remove, in database \w+:\n\n  replication slot `+slot+`, .* behind\n  publication `+slot+`\n$`, said)
	require.Equal(t, all, left(t, db))
	s := do("teardown")
	require.Equal(t, exitUsage, s.code)
	require.Contains(t, s.err, "nobody can be asked here")
	require.Equal(t, exitFailed, answer("n\n", "teardown").code)
	require.Equal(t, all, left(t, db))

	s = answer("y\n", "teardown")
	require.Equal(t, exitDone, s.code, s.err)
	require.Contains(t, s.out, "Go on? [y/N] Removed.\n")
	require.Equal(t, [3]bool{false, false, true}, left(t, db))
	require.Zero(t, pgtest.Value[int](t, db, "SELECT count(*)::int FROM outbox.relay_state"))
	did(t, "init") // What was inserted meanwhile is found by the scan; the engine's tests show it.
	require.Equal(t, all, left(t, db))
}

func TestTeardownOfAllData(t *testing.T) {
	db := on(t, pgtest.URL(t))
	did(t, "init")
	pgtest.Execute(t, db, "SELECT outbox.emit('a', '{}')")
	pgtest.Execute(t, db, `CREATE VIEW mine AS SELECT * FROM outbox.delivery_log;
		CREATE TABLE theirs (id uuid DEFAULT outbox.uuid7(), event uuid REFERENCES outbox.events)`)
	name := pgtest.Value[string](t, db, "SELECT current_database()")
	s := answer("yes\n", "teardown", "--schema")
	require.Equal(t, exitFailed, s.code)
	require.Equal(t, "relay: nothing was done\n", s.err)
	require.Regexp(t, `\n  schema outbox: \d+ KiB, 1 event and 0 deliveries\n`+
		`    and, outside of it: constraint theirs_event_fkey on table theirs\n`+
		`    and, outside of it: default value for column id of table theirs\n`+
		`    and, outside of it: view mine\n\n`+
		`All data of the outbox is lost. Type the database's name to go on: $`, s.out)
	require.Equal(t, [3]bool{true, true, true}, left(t, db))

	require.Equal(t, exitDone, answer(name+"\n", "teardown", "--schema").code)
	require.Equal(t, [3]bool{}, left(t, db))
	require.Equal(t, 2, pgtest.Value[int](t, db, "SELECT count(*)::int FROM information_schema.columns WHERE table_name = 'theirs'"), "the table stays")
	did(t, "init")
	did(t, "teardown", "--schema", "--yes")
	require.Equal(t, [3]bool{}, left(t, db))
}

func TestTeardownWhileARelayRuns(t *testing.T) {
	db := on(t, pgtest.URL(t))
	t.Setenv("RELAY_HTTP_LISTEN", "127.0.0.1:0")
	p := start(t, "run")
	awaitReady(t, p.listensOn())
	all := [3]bool{true, true, true}
	require.Contains(t, refused(t, exitFailed, "teardown", "--schema", "--yes"), "stop it first; nothing was removed")
	require.Equal(t, all, left(t, db))
	p.signal(os.Interrupt)
	require.Zero(t, p.exitCode())
	did(t, "teardown", "--schema", "--yes")
	require.Equal(t, [3]bool{}, left(t, db))
}

// Relays that do not read the slot at this moment are in the way too.
func TestTeardownBesideAStandby(t *testing.T) {
	db := on(t, pgtest.URL(t))
	did(t, "init")
	slot := os.Getenv("RELAY_REPLICATION_SLOT")
	pgtest.Execute(t, db, `INSERT INTO outbox.relays (id, host, pid, version, slot, started_at, seen_at, leads, ready, state, in_flight)
		VALUES (gen_random_uuid(), 'web-1', 42, '1.0', $1, now(), now() - interval '5 seconds', false, true, 'standing by', 0)`, slot)
	require.Regexp(t, `^relay: a relay runs on web-1 \(process 42, seen \d+s ago\): stop it first, or wait half a minute where it was killed; nothing was removed\n$`,
		refused(t, exitFailed, "teardown", "--yes"))
	pgtest.Execute(t, db, "UPDATE outbox.relays SET seen_at = now() - interval '31 seconds'")

	conn, err := db.Acquire(t.Context())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT pg_advisory_lock(hashtextextended('relay slot ' || $1, 0))", slot)
	require.NoError(t, err)
	s := do("teardown", "--yes")
	require.Equal(t, exitFailed, s.code)
	require.Contains(t, s.err, "a relay is at work with replication slot "+slot+": stop it first; nothing was removed")
	require.NoError(t, conn.Conn().Close(t.Context()))
	conn.Release()
	require.Equal(t, [3]bool{true, true, true}, left(t, db))
	did(t, "teardown", "--yes")
}

func TestTeardownLeavesAloneWhatIsNotTheRelays(t *testing.T) {
	db := on(t, pgtest.URL(t))
	slot := os.Getenv("RELAY_REPLICATION_SLOT")
	pgtest.Execute(t, db, "CREATE SCHEMA outbox; CREATE TABLE outbox.messages (); CREATE TABLE orders (id int PRIMARY KEY); CREATE PUBLICATION "+slot+" FOR TABLE orders")
	pgtest.Execute(t, db, "SELECT pg_create_logical_replication_slot($1, 'test_decoding')", slot)
	s := do("teardown", "--schema", "--yes")
	require.Equal(t, exitDone, s.code)
	require.Equal(t, "Nothing of the relay is here: nothing to remove.\n", s.out)
	require.Contains(t, s.err, `relay: note: replication slot `+slot+` is not the relay's here (plugin "test_decoding"`)
	require.Contains(t, s.err, "relay: note: publication "+slot+" publishes other tables too (public.orders): it stays\n")
	require.Contains(t, s.err, "relay: note: schema outbox has none of the relay's tables: it stays\n")
	require.Equal(t, [3]bool{true, true, true}, left(t, db))
}

// A role that may drop the slot but not the schema drops neither.
func TestTeardownIsAllOrNothing(t *testing.T) {
	superuser := pgtest.URL(t)
	db := on(t, superuser)
	did(t, "init")
	role := pgtest.Role(t, superuser, "ALTER ROLE %s REPLICATION", "GRANT USAGE ON SCHEMA outbox TO %s", "GRANT ALL ON ALL TABLES IN SCHEMA outbox TO %s")
	t.Setenv("RELAY_DATABASE_URL", role)
	for _, args := range [][]string{{"teardown", "--yes"}, {"teardown", "--schema", "--yes"}} {
		s := do(args...)
		require.Equal(t, exitFailed, s.code)
		require.Contains(t, s.err, "must be owner of")
		require.Contains(t, s.err, "nothing was removed")
		require.Equal(t, [3]bool{true, true, true}, left(t, db))
	}
	state, err := store.LoadState(t.Context(), db, os.Getenv("RELAY_REPLICATION_SLOT"))
	require.NoError(t, err)
	require.NotNil(t, state)
}
