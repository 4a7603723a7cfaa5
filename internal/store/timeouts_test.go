package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// limit sets timeouts for whoever connects to the database from now on, of those that the server has.
func limit(t *testing.T, db *pgxpool.Pool, names ...string) {
	t.Helper()
	for _, sql := range pgtest.Values[string](t, db, `
		SELECT format('ALTER DATABASE %I SET %I = ''1s''', current_database(), name) FROM pg_settings WHERE name = ANY($1)`, names) {
		pgtest.Execute(t, db, sql)
	}
}

// outlast runs statements that wait for what a session holds, and has it let go once each has waited for longer than limit
// allows.
func outlast(t *testing.T, db *pgxpool.Pool, letGo func(), statements ...func() error) {
	t.Helper()
	ended := make(chan error, len(statements))
	for _, run := range statements {
		go func() { ended <- run() }()
	}
	const waiting = `
		SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		 WHERE a.datname = current_database() AND NOT l.granted AND clock_timestamp() - l.waitstart > '1.5 s'`
	for deadline := time.Now().Add(time.Minute); pgtest.Value[int](t, db, waiting) < len(statements); time.Sleep(20 * time.Millisecond) {
		require.Empty(t, ended, "one ended early")
		require.True(t, time.Now().Before(deadline), "they do not wait")
	}
	letGo()
	for range statements {
		require.NoError(t, <-ended)
	}
}

// A timeout that is meant for the host app ends nothing that has to take long.
func TestLongStatementsOutlastTimeouts(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	url := pgtest.Migrated(t)
	db := open(t, url)
	holder, exporter := begin(t, db), begin(t, db)
	pgtest.Execute(t, holder, `LOCK TABLE outbox.deliveries`)
	snapshot := pgtest.Value[string](t, exporter, `SELECT pg_export_snapshot()`)
	limit(t, db, "statement_timeout", "transaction_timeout", "lock_timeout")
	limited := open(t, url+"&pool_max_conns=8")
	which := allFailures(number(1))
	outlast(t, db, func() { require.NoError(t, holder.Rollback(ctx)) },
		func() error {
			conn, err := limited.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			_, err = store.Scan(ctx, conn.Conn(), store.NewSlot{Name: "relay", Snapshot: snapshot, ConsistentPoint: "0/1"})
			return err
		},
		func() error { _, err := store.ListToBeSent(ctx, limited); return err },
		func() error {
			_, err := store.AdoptWith(ctx, limited, store.AdoptOptions{CancelWaiting: true})
			return err
		},
		func() error { _, _, err := store.CountReplayable(ctx, limited, which); return err },
		func() error { _, err := store.ReplayAll(ctx, limited, which, 10, func(int64) {}); return err },
	)
	require.Equal(t, "1s", pgtest.Value[string](t, limited, `SHOW statement_timeout`), "others keep it")
}

// Of the schema a limit on waiting for locks is kept, and no other.
func TestSchemaOutlastsTimeouts(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	url := pgtest.Migrated(t)
	db := open(t, url)
	holder := begin(t, db)
	pgtest.Execute(t, holder, `LOCK TABLE outbox.subscriptions`)
	limit(t, db, "statement_timeout", "transaction_timeout")
	apply := func() error {
		conn, err := store.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		return store.ApplySchema(ctx, conn)
	}
	outlast(t, db, func() { require.NoError(t, holder.Rollback(ctx)) }, apply)

	holder = begin(t, db)
	pgtest.Execute(t, holder, `LOCK TABLE outbox.subscriptions`)
	limit(t, db, "lock_timeout")
	require.ErrorContains(t, apply(), "lock timeout")
}
