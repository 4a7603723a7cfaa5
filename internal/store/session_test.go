package store_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// show returns what sessions have of settings, one made in each way.
func show(t *testing.T, address string, settings ...string) map[string]string {
	t.Helper()
	ctx := t.Context()
	sql := "SELECT current_setting('" + strings.Join(settings, "') || ' ' || current_setting('") + "')"
	conn, err := store.Connect(ctx, address)
	require.NoError(t, err)
	defer conn.Close(ctx)
	stream, err := store.ConnectReplication(ctx, address)
	require.NoError(t, err)
	defer stream.Close(ctx)
	results, err := stream.Exec(ctx, sql).ReadAll()
	require.NoError(t, err)
	return map[string]string{
		"Open": pgtest.Value[string](t, open(t, address), sql), "Connect": pgtest.Value[string](t, conn, sql),
		"ConnectReplication": string(results[0].Rows[0][0]),
	}
}

// Whatever database or role set for everybody, statements find what they need; what they can bear is left.
func TestSessions(t *testing.T) {
	t.Parallel()

	address := pgtest.URL(t)
	for way, has := range show(t, address, "default_transaction_isolation", "standard_conforming_strings", "client_encoding") {
		require.Equal(t, "read committed on UTF8", has, way)
	}
	db := pgtest.Pool(t, address)
	name := pgtest.Value[string](t, db, `SELECT current_database()`)
	for _, setting := range []string{
		"default_transaction_isolation = serializable", "standard_conforming_strings = off", "client_encoding = LATIN1",
		"default_transaction_read_only = on",
	} {
		pgtest.Execute(t, db, "ALTER DATABASE "+name+" SET "+setting)
	}
	for way, has := range show(t, address, "default_transaction_isolation", "transaction_isolation", "standard_conforming_strings",
		"client_encoding", "default_transaction_read_only") {
		require.Equal(t, "read committed read committed on UTF8 on", has, way)
	}
}

func TestSessionsOfADatabaseInSQLASCII(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	name := pgtest.Slot(t)
	admin := pgtest.Pool(t, pgtest.Cluster(t).URL("postgres"))
	pgtest.Execute(t, admin, "CREATE DATABASE "+name+" ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	t.Cleanup(func() { pgtest.Execute(t, admin, "DROP DATABASE "+name+" WITH (FORCE)") })
	address := pgtest.Cluster(t).URL(name)
	for way, has := range show(t, address, "client_encoding") {
		require.Equal(t, "SQL_ASCII", has, way)
	}
	const mixed = "Zo\xeb, Zoë"
	require.Equal(t, mixed, pgtest.Value[string](t, open(t, address), `SELECT $1::text`, mixed))
	require.Equal(t, mixed, pgtest.Value[string](t, open(t, address+"&default_query_exec_mode=exec"), `SELECT $1::text`, mixed))

	_, err := store.Connect(ctx, address+"&default_query_exec_mode=simple_protocol")
	require.ErrorIs(t, err, store.ErrSimpleProtocol)
	require.ErrorIs(t, open(t, address+"&default_query_exec_mode=simple_protocol").Ping(ctx), store.ErrSimpleProtocol)
}

func TestLookAtSession(t *testing.T) {
	t.Parallel()

	address := pgtest.URL(t)
	u, err := url.Parse(address)
	require.NoError(t, err)
	conn, err := pgconn.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	session, err := store.LookAtSession(t.Context(), conn)
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(u.Path, "/"), session.Database)
	require.False(t, session.Pooled)
	require.False(t, session.ASCII)
}

// What a URL says of pools and statements is nothing that the server knows.
func TestReplicationConfig(t *testing.T) {
	t.Parallel()

	const more = "&pool_max_conns=20&default_query_exec_mode=exec&statement_cache_capacity=0&application_name=mine"
	cfg, err := store.ReplicationConfig("postgres://u@localhost/app?sslmode=disable" + more)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"replication": "database", "client_encoding": "UTF8", "application_name": "mine"}, cfg.RuntimeParams)

	settled, err := pgx.ParseConfig("postgres://u@localhost/app")
	require.NoError(t, err)
	store.SettleConn(settled)
	require.Equal(t, map[string]string{"application_name": "relay", "client_encoding": "UTF8"}, settled.RuntimeParams)
}
