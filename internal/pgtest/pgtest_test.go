package pgtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.MainLeak(m) }

func TestMigratedIsAFreshDatabaseWithTheSchema(t *testing.T) {
	ctx := t.Context()
	first, second := pgtest.Pool(t, pgtest.Migrated(t)), pgtest.Pool(t, pgtest.Migrated(t))
	_, err := first.Exec(ctx, "INSERT INTO outbox.events (type, payload) VALUES ('user.invited', '{}')")
	require.NoError(t, err)
	var n int
	require.NoError(t, second.QueryRow(ctx, "SELECT count(*) FROM outbox.events").Scan(&n))
	require.Zero(t, n)
}

func TestDatabaseIsDroppedWithItsSlotsAndSessions(t *testing.T) {
	ctx := context.Background()
	var database string
	var session *pgx.Conn
	t.Run("test", func(t *testing.T) {
		address := pgtest.Migrated(t)
		var err error
		session, err = pgx.Connect(ctx, address)
		require.NoError(t, err)
		require.NoError(t, session.QueryRow(ctx, "SELECT current_database()").Scan(&database))
		_, err = session.Exec(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", pgtest.Slot(t))
		require.NoError(t, err)
		_, err = session.Exec(ctx, "CREATE PUBLICATION p FOR TABLE outbox.events")
		require.NoError(t, err)

		active := pgtest.Slot(t)
		_, err = session.Exec(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", active)
		require.NoError(t, err)
		stream, err := pgconn.Connect(ctx, address+"&replication=database")
		require.NoError(t, err)
		t.Cleanup(func() { stream.Close(ctx) })
		stream.Frontend().SendQuery(&pgproto3.Query{String: "START_REPLICATION SLOT " + active +
			" LOGICAL 0/0 (proto_version '1', publication_names 'p')"})
		require.NoError(t, stream.Frontend().Flush())
		require.Eventually(t, func() bool {
			var isActive bool
			err := session.QueryRow(ctx, "SELECT active FROM pg_replication_slots WHERE slot_name = $1", active).Scan(&isActive)
			return err == nil && isActive
		}, 30*time.Second, 10*time.Millisecond)
	})
	require.Error(t, session.Ping(ctx), "the session was ended")
	require.NoError(t, session.Close(ctx))
	pool := pgtest.Pool(t, pgtest.Cluster(t).URL("postgres"))
	var left int
	require.NoError(t, pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM pg_database WHERE datname = $1)
		     + (SELECT count(*) FROM pg_replication_slots WHERE database = $1)`, database).Scan(&left))
	require.Zero(t, left)
}

func TestRoleHasWhatItIsGrantedAndNoMore(t *testing.T) {
	address := pgtest.Migrated(t)
	role := pgtest.Pool(t, pgtest.Role(t, address, "GRANT USAGE ON SCHEMA outbox TO %s", "GRANT SELECT ON outbox.events TO %s"))
	_, err := role.Exec(t.Context(), "SELECT FROM outbox.events")
	require.NoError(t, err)
	_, err = role.Exec(t.Context(), "SELECT FROM outbox.deliveries")
	require.ErrorContains(t, err, "permission denied")
}

func TestPrivateClusterCanBeStopped(t *testing.T) {
	cluster := pgtest.Private(t, postgres.Options{FsyncOff: true})
	require.NoError(t, cluster.CreateDatabase(t.Context(), "mine"))
	pgtest.Migrate(t, cluster.URL("mine"))
	require.NotEqual(t, pgtest.Cluster(t).Port(), cluster.Port())
	require.NoError(t, cluster.Stop(t.Context(), postgres.Fast))
	require.NoError(t, cluster.Resume(t.Context()))
	_, err := pgtest.Pool(t, cluster.URL("mine")).Exec(t.Context(), "SELECT FROM outbox.events")
	require.NoError(t, err)
}
