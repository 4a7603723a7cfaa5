package store_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// tryAll opens a URL in each way, and returns what went wrong.
func tryAll(t *testing.T, address string) map[string]error {
	t.Helper()
	ctx := t.Context()
	errs := make(map[string]error)
	db, err := store.Open(ctx, address)
	if err == nil {
		err = db.Ping(ctx)
		db.Close()
	}
	errs["Open"] = err
	conn, err := store.Connect(ctx, address)
	if err == nil {
		require.NoError(t, conn.Close(ctx))
	}
	errs["Connect"] = err
	stream, err := store.ConnectReplication(ctx, address)
	if err == nil {
		require.NoError(t, stream.Close(ctx))
	}
	errs["ConnectReplication"] = err
	return errs
}

// Whatever is wrong with a URL, what is said about it shows nothing of the password.
func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()

	const password = "s3cret"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().String()
	require.NoError(t, listener.Close())
	good, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	absent := *good
	absent.User, absent.Path = url.UserPassword("postgres", password), "/absent"
	stranger := *good
	stranger.User = url.UserPassword("nobody", password)
	missing := filepath.Join(t.TempDir(), "ca.pem")

	for _, unusable := range []string{
		"postgres://ada:" + password + "@[::1/db", "postgres://ada:" + password + "@localhost:x/db", "postgres://ada:%" + password + "@localhost",
		"postgres://ada:" + password + " @localhost:port", "mysql://ada:" + password + "@localhost", password,
		"host=localhost password=" + password + " port=x", "host=localhost password='" + password, "host password=" + password,
		"postgres://localhost/db?password=" + password + "&sslmode=maybe", "postgres://ada:" + password + "@localhost/db?sslrootcert=" + missing,
		"postgres://ada:" + password + "@localhost/db?connect_timeout=" + password, "postgres://ada:" + password + "@localhost/db?default_query_exec_mode=x",
	} {
		for way, err := range tryAll(t, unusable) {
			require.NotContains(t, err.Error(), password, "%s %s", way, unusable)
			require.ErrorIs(t, err, store.ErrURL, "%s %s", way, unusable)
		}
	}
	for _, unreachable := range []string{
		"postgres://ada:" + password + "@" + closed + "/db?sslmode=disable",
		"postgres://" + closed + "/db?user=ada&password=" + password,
		"postgres://ada:" + password + "@no-such-host.invalid/db",
		absent.String(), stranger.String(),
	} {
		for way, err := range tryAll(t, unreachable) {
			require.Error(t, err, "%s %s", way, unreachable)
			require.NotContains(t, err.Error(), password, way)
			require.NotErrorIs(t, err, store.ErrURL, way)
		}
	}
	for way, err := range tryAll(t, "postgres://ada:"+password+"@localhost/db?sslmode=verify-full&sslrootcert="+missing) {
		require.ErrorContains(t, err, missing, "%s: the file that is missing is named", way)
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

// As a transaction pooler needs it: no prepared statements, and no run-time parameter that one may not know.
func TestOpen(t *testing.T) {
	t.Parallel()

	address := pgtest.URL(t)
	for query, want := range map[string]pgx.QueryExecMode{
		"": pgx.QueryExecModeCacheDescribe, "&default_query_exec_mode=simple_protocol": pgx.QueryExecModeSimpleProtocol,
		"&default_query_exec_mode=exec": pgx.QueryExecModeExec, "&default_query_exec_mode=cache_statement": pgx.QueryExecModeCacheDescribe,
	} {
		db := open(t, address+query)
		require.Equal(t, want, db.Config().ConnConfig.DefaultQueryExecMode, query)
		require.Equal(t, map[string]string{"application_name": "relay", "client_encoding": "UTF8"}, db.Config().ConnConfig.RuntimeParams)
		require.Equal(t, "relay", pgtest.Value[string](t, db, `SELECT current_setting('application_name')`))
		require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*)::int FROM pg_prepared_statements WHERE name <> ''`))
	}
	require.Equal(t, "mine", pgtest.Value[string](t, open(t, address+"&application_name=mine"), `SELECT current_setting('application_name')`))

	conn, err := store.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.Equal(t, pgx.QueryExecModeCacheDescribe, conn.Config().DefaultQueryExecMode)

	open(t, "postgres://127.0.0.1:1/db") // It does not connect yet.
}
