package outboxrelay_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// What host apps, operators and the relay do all day.
var daily = []string{
	`INSERT INTO outbox.events (type, payload) VALUES ('a', '{}')`,
	`SELECT outbox.emit('a', '{}')`,
	`SELECT outbox.uuid7(), outbox.new_secret(), outbox.valid_headers('{"a": "b"}')`,
	`INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`,
	`UPDATE outbox.subscriptions SET active = NOT active WHERE id = (SELECT min(id::text)::uuid FROM outbox.subscriptions)`,
	`INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, url)
	 SELECT outbox.delivery_id(id, id), id, id, created_at, now(), 'pending', type, tenant, '' FROM outbox.events
	 ON CONFLICT (id) DO NOTHING`,
	`SELECT outbox.replay(delivery_id) FROM outbox.delivery_log LIMIT 1`,
	`SELECT FROM outbox.delivery_log JOIN outbox.attempts USING (delivery_id)`,
	`UPDATE outbox.subscription_changes SET commit_lsn = '0/1'`,
	`DELETE FROM outbox.events WHERE created_at < now() - interval '1 day'`,
}

// An upgrade that meets a lock, as of pg_dump, gives up soon: relays that run would stand in line behind it.
func TestAnUpgradeWaitsForNoLockForLong(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	conn, dump, relay := connect(t, url), connect(t, url), connect(t, url)
	pgtest.Execute(t, conn, `ALTER TABLE outbox.relay_state DROP COLUMN publication_version`)
	pgtest.Execute(t, dump, `BEGIN`)
	pgtest.Execute(t, dump, `SELECT FROM outbox.relay_state`)
	_, err := conn.PgConn().Exec(t.Context(), outboxrelay.Schema).ReadAll()
	require.ErrorContains(t, err, "lock timeout")
	pgtest.Execute(t, conn, `ROLLBACK`)
	pgtest.Execute(t, relay, `UPDATE outbox.relay_state SET updated_at = now()`)
	pgtest.Execute(t, dump, `ROLLBACK`)
	_, err = conn.PgConn().Exec(t.Context(), outboxrelay.Schema).ReadAll()
	require.NoError(t, err)
	require.Equal(t, "0", pgtest.Value[string](t, conn, `SELECT current_setting('lock_timeout')`), "for the file alone")
}

// With the locks of a whole application still held, nobody waits.
func TestNobodyWaitsForTheSchema(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	conn := connect(t, url)
	script, found := strings.CutSuffix(strings.TrimSpace(outboxrelay.Schema), "COMMIT;")
	require.True(t, found)
	_, err := conn.PgConn().Exec(t.Context(), script).ReadAll()
	require.NoError(t, err)

	other := connectImpatient(t, url)
	for _, statement := range daily {
		pgtest.Execute(t, other, statement)
	}
	// ShareUpdateExclusiveLock, of COMMENT, is the strongest that leaves readers and writers alone.
	require.Empty(t, pgtest.Values[string](t, other, `
		SELECT DISTINCT relation::regclass || ': ' || mode FROM pg_locks JOIN pg_class AS c ON c.oid = relation
		 WHERE pid = $1 AND c.relnamespace = 'outbox'::regnamespace
		   AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock')`,
		conn.PgConn().PID()))
	_, err = conn.PgConn().Exec(t.Context(), "COMMIT").ReadAll()
	require.NoError(t, err)
}

// With the locks of all of them held, uncommitted, an application does not wait, and they go on after it.
func TestTheSchemaWaitsForNobody(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	url := pgtest.Migrated(t)
	var open []pgx.Tx
	for _, statement := range append([]string{`SELECT FROM outbox.events, outbox.delivery_log`}, daily...) {
		tx, err := connectImpatient(t, url).Begin(ctx)
		require.NoError(t, err)
		_, err = tx.Exec(ctx, statement)
		require.NoError(t, err, statement)
		open = append(open, tx)
	}

	apply(t, connectImpatient(t, url))
	for _, tx := range open {
		_, err := tx.Exec(ctx, `INSERT INTO outbox.events (type, payload) VALUES ('after', '{}')`)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(ctx))
	}
	conn := connect(t, url)
	require.Equal(t, len(open), pgtest.Value[int](t, conn, `SELECT count(*) FROM outbox.events WHERE type = 'after'`))
}

// Inserts from several connections go on while the schema is applied again and again.
func TestInsertsGoOnDuringTheSchema(t *testing.T) {
	t.Parallel()

	const applications, writers, least = 30, 4, 50
	url := pgtest.Migrated(t)
	ctx := t.Context()
	var applied atomic.Bool
	var inserted [writers]int
	var wait sync.WaitGroup
	errs := make(chan error, writers+1)

	applier := connectImpatient(t, url)
	wait.Go(func() {
		defer applied.Store(true)
		for range applications {
			if err := store.ApplySchema(ctx, applier); err != nil {
				errs <- err
				return
			}
		}
	})
	for n := range writers {
		conn := connectImpatient(t, url)
		wait.Go(func() {
			for inserted[n] < least || !applied.Load() {
				if err := insertSomehow(ctx, conn, inserted[n]); err != nil {
					errs <- fmt.Errorf("insert %d: %w", inserted[n], err)
					return
				}
				inserted[n]++
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	total := 0
	for _, n := range inserted {
		total += n
	}
	require.Equal(t, total, pgtest.Value[int](t, connect(t, url), `SELECT count(*) FROM outbox.events`))
}

func insertSomehow(ctx context.Context, conn *pgx.Conn, n int) error {
	var err error
	switch n % 4 {
	case 0:
		_, err = conn.Exec(ctx, `INSERT INTO outbox.events (type, payload) VALUES ('a', '{}')`)
	case 1:
		err = conn.QueryRow(ctx, `SELECT outbox.emit('a', '{}')`).Scan(new(uuid.UUID))
	case 2:
		_, err = outbox.Insert(ctx, conn, outbox.Event{Type: "a", Payload: `{}`})
	case 3:
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO outbox.events (type, payload) VALUES ('a', '{}')`)
			return err
		})
	}
	return err
}
