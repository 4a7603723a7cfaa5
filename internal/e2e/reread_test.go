package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/internal/receiver"
)

// After a crash the server brings again what it had brought: a subscription being switched off, too, that has been on again
// for long. What came after that is not cancelled.
func TestAChangeReadAgainCancelsNothingThatCameAfter(t *testing.T) {
	cluster := pgtest.Private(t, postgres.Options{})
	require.NoError(t, cluster.CreateDatabase(context.Background(), "app"))
	url := cluster.URL("app")
	pgtest.Migrate(t, url)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.Down()
	id := subscribe(t, db, r, "*")
	start(t, url, "relay_again", "RELAY_DELIVERY_RETRY_BASE=4s", "RELAY_DELIVERY_RETRY_UNIT=0s")
	before := emit(t, db, "before")
	status := func(event, want string) func() bool {
		return func() bool {
			return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE event_id = $1::uuid AND status = $2`, event, want) == 1
		}
	}
	await(t, "a retry to come", status(before, "retrying"))
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = false WHERE id = $1::uuid`, id)
	await(t, "it is cancelled", status(before, "cancelled"))
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = true WHERE id = $1::uuid`, id)
	after := emit(t, db, "after")
	await(t, "another retry to come", status(after, "retrying"))

	require.NoError(t, cluster.Kill())
	require.NoError(t, cluster.Resume(context.Background()))
	await(t, "the server is back", func() bool { return db.Ping(context.Background()) == nil })
	r.Up()
	last := emit(t, db, "last")
	await(t, "the stream goes on", func() bool { return r.Count(last) == 1 })
	await(t, "what came after is delivered", status(after, "accepted"))
	require.Zero(t, r.Count(before))
}

// A relay that stops in order leaves word of how far it has read, so that what comes later need not be looked up; one that is
// killed leaves none, nor does one that reads.
func TestARelayLeavesWordOfHowFarItHasRead(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	read := func() (at string) {
		return pgtest.Value[string](t, db, `SELECT coalesce(read_lsn::text, 'unknown') FROM outbox.relay_state WHERE slot = $1`, slot)
	}
	output, code := command(t, []string{
		"RELAY_DATABASE_URL=" + url, "RELAY_REPLICATION_SLOT=" + slot, "RELAY_REPLICATION_PUBLICATION=" + slot,
	}, "init")
	require.Zero(t, code, output)
	require.Equal(t, pgtest.Value[string](t, db, `SELECT scanned_lsn::text FROM outbox.relay_state WHERE slot = $1`, slot), read(), "nothing yet")

	sent := 0
	deliver := func(of *instance) {
		before := pgtest.Value[string](t, db, `SELECT pg_current_wal_lsn()::text`)
		for range 20 {
			emit(t, db, "a")
		}
		sent += 20
		await(t, "all recorded", func() bool {
			return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == sent
		})
		require.Equal(t, "unknown", read(), "while it reads")
		of.stop()
		require.True(t, pgtest.Value[bool](t, db, `SELECT $1::pg_lsn > $2::pg_lsn`, read(), before), "%s is after %s", read(), before)
	}
	deliver(start(t, url, slot))
	left := read()
	start(t, url, slot).stop()
	require.True(t, pgtest.Value[bool](t, db, `SELECT $1::pg_lsn >= $2::pg_lsn`, read(), left), "PostgreSQL 14 sends empty transactions as well")

	killed := start(t, url, slot)
	killed.kill()
	require.Equal(t, "unknown", read())
	deliver(start(t, url, slot))
	require.Equal(t, sent, r.Len(), "each once")
}

func TestAHugeBacklogIsCancelled(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	id := subscribe(t, db, r, "*")
	start(t, url, slot)
	const waiting = 20_001
	pgtest.Execute(t, db, `INSERT INTO outbox.deliveries
		(id, event_id, subscription_id, event_created_at, due_at, next_attempt_at, last_attempt_at, status, event_type, tenant, url)
		SELECT gen_random_uuid(), gen_random_uuid(), $1::uuid, now(), t.due, t.due, now(), 'retrying', 'a', 'default', 'https://x.example'
		  FROM generate_series(1, $2), (SELECT now() + interval '1 hour') AS t(due)`, id, waiting)
	pgtest.Execute(t, db, `DELETE FROM outbox.subscriptions WHERE id = $1::uuid`, id)
	await(t, "all cancelled", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'cancelled' AND finished_at IS NOT NULL`) == waiting
	})
}

// A host app that is in the midst of changing a subscription keeps nobody's outcomes from being recorded.
func TestALockedSubscriptionDelaysNobody(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, healthy, gone := pgtest.Pool(t, url), receiver.New(t, nil), receiver.New(t, nil)
	gone.SetStatus(410)
	subscribe(t, db, healthy, "*")
	id := subscribe(t, db, gone, "*")
	start(t, url, slot, "RELAY_DELIVERY_DISABLE_ON=410")
	tx, err := db.Begin(context.Background())
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), `UPDATE outbox.subscriptions SET name = 'changing' WHERE id = $1::uuid`, id)
	require.NoError(t, err)
	began := time.Now()
	for n := range 3 {
		emit(t, db, "a")
		await(t, "both recorded", func() bool { return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.attempts`) == 2*n+2 })
	}
	require.Less(t, time.Since(began), 10*time.Second)
	require.NoError(t, tx.Commit(context.Background()))
	emit(t, db, "a")
	await(t, "switched off by the next answer", func() bool {
		return !pgtest.Value[bool](t, db, `SELECT active FROM outbox.subscriptions WHERE id = $1::uuid`, id)
	})
}
