package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
)

// databaseTimeout bounds the making and the removal of a database, on a machine with other things to do.
const databaseTimeout = time.Minute

// URL returns the address of a fresh, empty database on the shared cluster, for its superuser. The database is dropped
// after the test, whatever is still connected to it, and so are its replication slots.
func URL(t testing.TB) string {
	t.Helper()
	cluster := Cluster(t)
	name := unique(t)
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	require.NoError(t, cluster.CreateDatabase(ctx, name))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
		defer cancel()
		if err := dropDatabase(ctx, cluster.URL("postgres"), name); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return cluster.URL(name)
}

// Migrated is URL with schema.sql in the database.
func Migrated(t testing.TB) string {
	t.Helper()
	address := URL(t)
	Migrate(t, address)
	return address
}

// Migrate runs schema.sql on a database, such as one of a Private cluster.
func Migrate(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, outboxrelay.Schema, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// Pool returns a pool on the database at address, closed after the test.
func Pool(t testing.TB, address string) *pgxpool.Pool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	pool, err := pgxpool.New(ctx, address)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, pool.Ping(ctx))
	return pool
}

// Role makes a role that may log in, and returns the address of the same database for it. The statements then run as
// superuser, with %s in them for the role's name: GRANT USAGE ON SCHEMA outbox TO %s. It is dropped after the test.
func Role(t testing.TB, address string, statements ...string) string {
	t.Helper()
	name := unique(t)
	execute(t, address, "CREATE ROLE "+name+" LOGIN")
	t.Cleanup(func() { execute(t, address, "DROP OWNED BY "+name, "DROP ROLE "+name) })
	for _, statement := range statements {
		execute(t, address, strings.ReplaceAll(statement, "%s", name))
	}
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.User(name)
	return u.String()
}

func execute(t testing.TB, address string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	defer conn.Close(ctx)
	for _, statement := range statements {
		_, err = conn.Exec(ctx, statement)
		require.NoError(t, err, statement)
	}
}

// dropDatabase ends whatever uses the database, and drops its slots and it. Until the drop, others may come back.
func dropDatabase(ctx context.Context, address, name string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// Nobody new gets in; walsenders of slots do not count as sessions of the database for WITH (FORCE).
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+name+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	for {
		left, err := dropSlots(ctx, conn, name)
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("drop %d replication slots: %w", left, ctx.Err())
		}
	}
	_, err = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	return err
}

// dropSlots ends the users of the database's slots, drops those that have none, and returns how many are left.
func dropSlots(ctx context.Context, conn *pgx.Conn, name string) (left int, err error) {
	rows, err := conn.Query(ctx, `
		SELECT slot_name, coalesce(active_pid, 0), coalesce(pg_terminate_backend(active_pid), false)
		  FROM pg_replication_slots WHERE database = $1`, name)
	if err != nil {
		return 0, err
	}
	slots, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (slot struct {
		name       string
		pid        int
		terminated bool
	}, err error) {
		return slot, row.Scan(&slot.name, &slot.pid, &slot.terminated)
	})
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		if slot.pid != 0 {
			left++
			continue
		}
		// Not an error if it is gone by now, or was taken up again: the next round sees.
		_, err := conn.Exec(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", slot.name)
		if err != nil {
			left++
		}
	}
	return left, nil
}
