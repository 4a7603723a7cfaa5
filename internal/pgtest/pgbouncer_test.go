//go:build pgbouncer

package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestPgBouncerSharesConnections(t *testing.T) {
	pooled := pgtest.Pool(t, pgtest.PgBouncer(t, pgtest.Migrated(t)))
	a, err := pooled.Acquire(t.Context())
	require.NoError(t, err)
	defer a.Release()
	b, err := pooled.Acquire(t.Context())
	require.NoError(t, err)
	defer b.Release()
	var first, second int
	const backend = "SELECT pg_backend_pid()"
	require.NoError(t, a.QueryRow(t.Context(), backend, pgx.QueryExecModeSimpleProtocol).Scan(&first))
	require.NoError(t, b.QueryRow(t.Context(), backend, pgx.QueryExecModeSimpleProtocol).Scan(&second))
	require.Equal(t, first, second, "two clients, one connection to the server")
}
