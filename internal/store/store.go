// Package store holds every SQL statement that the relay runs, one file each in sql/, behind typed functions.
//
// Functions take the connection or pool to run on, block until the database answers or ctx ends, and may be called by
// several goroutines as far as that connection allows. Times of schedules and leases come from the database's clock.
package store

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is what the functions need of a pgx connection, pool or transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Prepared returns db with its statements prepared, which saves planning them each time. For those whose plan does not
// depend on how large the tables are; not for connections through a transaction pooler.
func Prepared(db DB) DB { return prepared{db} }

type prepared struct{ db DB }

func (p prepared) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return p.db.Exec(ctx, sql, asPrepared(args)...)
}

func (p prepared) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.db.Query(ctx, sql, asPrepared(args)...)
}

func (p prepared) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.db.QueryRow(ctx, sql, asPrepared(args)...)
}

func asPrepared(args []any) []any { return append([]any{pgx.QueryExecModeCacheStatement}, args...) }

//go:embed sql/*.sql
var files embed.FS

// query returns the statement in sql/name.sql. A missing file is a mistake in the program, found at its start.
func query(name string) string {
	text, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		panic(fmt.Sprintf("store: %v", err))
	}
	return string(text)
}
