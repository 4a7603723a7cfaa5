package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// querier is a connection, a pool or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Execute runs a statement, which must succeed.
func Execute(t testing.TB, db querier, statement string, args ...any) {
	t.Helper()
	_, err := db.Exec(context.Background(), statement, args...)
	require.NoError(t, err, statement)
}

// Value returns the one value that a query finds.
func Value[T any](t testing.TB, db querier, query string, args ...any) T {
	t.Helper()
	all := Values[T](t, db, query, args...)
	require.Len(t, all, 1, query)
	return all[0]
}

// Values returns the one column that a query finds.
func Values[T any](t testing.TB, db querier, query string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(context.Background(), query, args...)
	require.NoError(t, err, query)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, query)
	return all
}
