package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// After a crash a change is read again, when the subscription may be on again for long: what came after stays.
func TestCancelSubscriptionWhoseChangeIsReadAgain(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	put(t, db, everyKind(10, 1)...)
	put(t, db, everyKind(20, 1)...)
	// 1x are of before the change, a minute ago, 2x of after.
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET last_attempt_at = now() - CASE WHEN id < $1 THEN interval '2 minutes' ELSE interval '30 seconds' END
		WHERE status = 'retrying'`, number(20))
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET due_at = now() - interval '2 minutes' WHERE status = 'pending' AND due_at < now() AND id < $1`, number(20))
	before := statuses(t, db)
	cancelled, err := store.CancelSubscription(t.Context(), db, number(1), time.Now().Add(-time.Minute), 100)
	require.NoError(t, err)
	require.EqualValues(t, 5, cancelled)
	requireCancelled(t, db, before, 10, 12, 13, 14, 15)

	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = false`)
	cancelled, err = store.CancelSubscription(t.Context(), db, number(1), time.Now().Add(-time.Minute), 100)
	require.NoError(t, err)
	require.EqualValues(t, 5, cancelled, "while it is off, all goes")
	requireCancelled(t, db, before, 20, 22, 23, 24, 25)
}

// With synchronous_commit off, what is seen to be committed may not be written yet.
func TestOldEventsThatAreNotWrittenYet(t *testing.T) {
	t.Parallel()

	db := database(t)
	conn, err := db.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	pgtest.Execute(t, conn, `SET synchronous_commit = off`)
	for n := range 20 { // Now and then the server happens to write in between.
		putEvents(t, conn, 2*month, n)
		inserted, err := pglogrepl.ParseLSN(pgtest.Value[string](t, conn, `SELECT pg_current_wal_insert_lsn()::text`))
		require.NoError(t, err)
		ids, position := oldEvents(t, conn, 100)
		require.Len(t, ids, n+1)
		require.GreaterOrEqual(t, position, inserted)
	}
	pgtest.Execute(t, conn, `RESET synchronous_commit`)
}
