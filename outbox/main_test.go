package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "github.com/lib/pq"              // driver "postgres"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// host is one way for a host app to reach the database.
type host struct {
	name     string
	insert   func(context.Context, ...outbox.Event) ([]uuid.UUID, error)
	log      func(context.Context, outbox.Filter) ([]outbox.Delivery, error)
	attempts func(context.Context, uuid.UUID) ([]outbox.Attempt, error)
}

type pgxDB interface {
	outbox.Tx
	outbox.DB
}

type sqlDB interface {
	outbox.SQLTx
	outbox.SQLDB
}

// The types that the documentation names.
var (
	_ = []pgxDB{pgx.Tx(nil), (*pgx.Conn)(nil), (*pgxpool.Pool)(nil), (*pgxpool.Conn)(nil)}
	_ = []sqlDB{(*sql.Tx)(nil), (*sql.Conn)(nil), (*sql.DB)(nil)}
)

// with lends a database for a call, and commits what was done in it where it is a transaction.
type with[DB any] func(func(DB) error) error

func lend[DB any](db DB) with[DB] { return func(f func(DB) error) error { return f(db) } }

func pgxHost(name string, with with[pgxDB]) host {
	return host{
		name: name,
		insert: func(ctx context.Context, events ...outbox.Event) (ids []uuid.UUID, err error) {
			err = with(func(db pgxDB) error { ids, err = outbox.Insert(ctx, db, events...); return err })
			return ids, err
		},
		log: func(ctx context.Context, f outbox.Filter) (log []outbox.Delivery, err error) {
			err = with(func(db pgxDB) error { log, err = outbox.Log(ctx, db, f); return err })
			return log, err
		},
		attempts: func(ctx context.Context, id uuid.UUID) (attempts []outbox.Attempt, err error) {
			err = with(func(db pgxDB) error { attempts, err = outbox.Attempts(ctx, db, id); return err })
			return attempts, err
		},
	}
}

func sqlHost(name string, with with[sqlDB]) host {
	return host{
		name: name,
		insert: func(ctx context.Context, events ...outbox.Event) (ids []uuid.UUID, err error) {
			err = with(func(db sqlDB) error { ids, err = outbox.InsertSQL(ctx, db, events...); return err })
			return ids, err
		},
		log: func(ctx context.Context, f outbox.Filter) (log []outbox.Delivery, err error) {
			err = with(func(db sqlDB) error { log, err = outbox.LogSQL(ctx, db, f); return err })
			return log, err
		},
		attempts: func(ctx context.Context, id uuid.UUID) (attempts []outbox.Attempt, err error) {
			err = with(func(db sqlDB) error { attempts, err = outbox.AttemptsSQL(ctx, db, id); return err })
			return attempts, err
		},
	}
}

var execModes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement,
	pgx.QueryExecModeCacheDescribe,
	pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec,
	pgx.QueryExecModeSimpleProtocol,
}

// hosts are all the ways: pgx as a pool in each mode, a connection and a transaction, and database/sql with two drivers,
// lib/pq also without prepared statements.
func hosts(t *testing.T, url string) []host {
	t.Helper()
	ctx := t.Context()

	var all []host
	for _, mode := range execModes {
		config, err := pgxpool.ParseConfig(url)
		require.NoError(t, err)
		config.ConnConfig.DefaultQueryExecMode = mode
		pool, err := pgxpool.NewWithConfig(ctx, config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		all = append(all, pgxHost("pgxpool.Pool "+mode.String(), lend[pgxDB](pool)))
	}

	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"array_nulls": "off", "datestyle": "German", "timezone": "America/St_Johns",
	} {
		config.RuntimeParams[name] = value
	}
	unusual, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unusual.Close(context.Background()) })
	all = append(all, pgxHost("pgx.Conn with unusual settings", lend[pgxDB](unusual)))

	conn := connect(t, url)
	all = append(all, pgxHost("pgx.Conn", lend[pgxDB](conn)),
		pgxHost("pgx.Tx", func(f func(pgxDB) error) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return f(tx) })
		}))

	for _, driver := range []struct{ name, driver, url string }{
		{"pgx/stdlib", "pgx", url},
		{"lib/pq", "postgres", url},
		{"lib/pq binary_parameters", "postgres", withParameter(t, url, "binary_parameters", "yes")},
	} {
		db := openSQL(t, driver.driver, driver.url)
		conn, err := db.Conn(ctx)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		all = append(all,
			sqlHost("sql.DB "+driver.name, lend[sqlDB](db)),
			sqlHost("sql.Conn "+driver.name, lend[sqlDB](conn)),
			sqlHost("sql.Tx "+driver.name, func(f func(sqlDB) error) error {
				tx, err := db.BeginTx(ctx, nil)
				if err != nil {
					return err
				}
				if err := f(tx); err != nil {
					return errors.Join(err, tx.Rollback())
				}
				return tx.Commit()
			}))
	}
	return all
}

func withParameter(t *testing.T, databaseURL, key, value string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func openSQL(t *testing.T, driver, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
