package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// everyKind is a delivery of each kind to a subscription, numbered from first.
func everyKind(first, subscription int) []given {
	all := []given{
		{due: -time.Second},                                  // 0: unsent.
		{due: time.Hour, lease: ours},                        // 1: in somebody's hands.
		{due: -time.Second, lease: ours},                     // 2: in the hands of one that is late.
		{due: time.Hour, status: "retrying", lease: ours},    // 3: waits for its next attempt.
		{due: -time.Second, status: "retrying", lease: ours}, // 4: whose next attempt has come.
		{due: time.Hour, status: "retrying", lease: ours},    // 5: claimed for its next attempt, see below.
		{status: "accepted"}, {status: "rejected"}, {status: "failed"}, {status: "cancelled"},
	}
	for i := range all {
		all[i].id, all[i].event, all[i].subscription = first+i, first+i, subscription
	}
	return all
}

func putEveryKind(t testing.TB, db store.DB, first, subscription int) {
	t.Helper()
	put(t, db, everyKind(first, subscription)...)
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET next_attempt_at = now() - interval '1 minute' WHERE id = $1`, number(first+5))
}

// requireCancelled asks for just these to be cancelled, beside those that were, and for cancelled ones to be whole.
func requireCancelled(t testing.TB, db store.DB, before map[int]string, cancelled ...int) {
	t.Helper()
	for _, n := range cancelled {
		before[n] = "cancelled"
	}
	require.Equal(t, before, statuses(t, db))
	require.Empty(t, pgtest.Values[uuid.UUID](t, db, `
		SELECT id FROM outbox.deliveries WHERE status = 'cancelled' AND (num_nonnulls(due_at, next_attempt_at) > 0 OR finished_at IS NULL)`))
}

// What is in nobody's hands is cancelled; what is, is told by its lease.
func TestCancelSubscription(t *testing.T) {
	t.Parallel()

	db := database(t)
	putEveryKind(t, db, 10, 1)
	putEveryKind(t, db, 20, 2)
	before := statuses(t, db)
	cancel := func(changed time.Time, limit int) int64 {
		t.Helper()
		n, err := store.CancelSubscription(t.Context(), db, number(1), changed, limit)
		require.NoError(t, err)
		return n
	}
	long := time.Now().Add(-24 * time.Hour) // However long ago, what is off or gone gets nothing.
	require.EqualValues(t, 4, cancel(long, 100))
	requireCancelled(t, db, before, 10, 12, 13, 14)
	require.Zero(t, cancel(long, 100))
	requireCancelled(t, db, before)

	// Whoever has one in hand may still tell how it went; a late one whose delivery was cancelled may not.
	for _, n := range []int{11, 12} {
		r := record("accepted", 1, ours)
		r.ID = number(n)
		save(t, db, r)
	}
	before[11] = "accepted"
	requireCancelled(t, db, before)
}

// A change that is read again, after a crash, cancels nothing that came after the subscription was switched on again.
func TestCancelSubscriptionThatIsOnAgain(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	put(t, db, given{id: 10, event: 10, subscription: 1, due: -time.Hour}, given{id: 11, event: 11, subscription: 1, due: -time.Second},
		given{id: 12, event: 12, subscription: 1, due: time.Hour, status: "retrying"},
		given{id: 13, event: 13, subscription: 1, due: time.Hour, status: "retrying"})
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET last_attempt_at = now() - interval '1 hour' WHERE id = $1`, number(12))
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET last_attempt_at = now() WHERE id = $1`, number(13))
	before := statuses(t, db)
	changed := pgtest.Value[time.Time](t, db, `SELECT now() - interval '30 minutes'`)
	for _, want := range []int64{1, 1, 0} { // One at a time.
		n, err := store.CancelSubscription(t.Context(), db, number(1), changed, 1)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	requireCancelled(t, db, before, 10, 12)
}

// Only what is due, and only of those that are removed or off, however often they are asked for.
func TestCancelDue(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	subscribe(t, db, 2, false)
	for subscription := 1; subscription <= 4; subscription++ { // 3 and 4 are removed.
		putEveryKind(t, db, 10*subscription, subscription)
	}
	before := statuses(t, db)
	require.NoError(t, store.CancelDue(t.Context(), db, nil))
	requireCancelled(t, db, before)

	// One that another has locked is left for later.
	tx := begin(t, db)
	pgtest.Execute(t, tx, `SELECT FROM outbox.deliveries WHERE id = $1 FOR UPDATE`, number(30))
	require.NoError(t, store.CancelDue(t.Context(), db, []uuid.UUID{number(1), number(2), number(3)}))
	requireCancelled(t, db, before, 20, 22, 24, 32, 34)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, store.CancelDue(t.Context(), db, []uuid.UUID{number(1), number(2), number(3)}))
	requireCancelled(t, db, before, 30)
}

// Off and on again, and no relay has read it yet: what was due before it was off is of no use any more, what came after is.
func TestCancelDueOfOneThatIsOnAgain(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	subscribe(t, db, 2, true)
	put(t, db, everyKind(10, 1)...)
	put(t, db, everyKind(20, 2)...)
	before := statuses(t, db)
	cancel := func() {
		t.Helper()
		require.NoError(t, store.CancelDue(t.Context(), db, []uuid.UUID{number(1), number(2)}))
	}
	cancel()
	requireCancelled(t, db, before)

	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = false WHERE id = $1`, number(1))
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = true`)
	put(t, db, given{id: 30, event: 30, subscription: 1}) // Due now.
	before[30] = "pending"
	pgtest.Execute(t, db, `UPDATE outbox.subscription_changes SET commit_lsn = '0/1'`)
	cancel()
	requireCancelled(t, db, before)
	pgtest.Execute(t, db, `UPDATE outbox.subscription_changes SET commit_lsn = NULL`)
	cancel()
	requireCancelled(t, db, before, 10, 12, 14)
}

// A huge backlog is cancelled some thousand at a time.
func TestCancelDueInBatches(t *testing.T) {
	t.Parallel()

	db := database(t)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, url)
		SELECT gen_random_uuid(), gen_random_uuid(), $1, now(), now(), 'pending', 'a', 'default', '' FROM generate_series(1, 2500)`, number(1))
	for _, left := range []int{1500, 500, 0, 0} {
		require.NoError(t, store.CancelDue(t.Context(), db, []uuid.UUID{number(1)}))
		require.Equal(t, left, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE due_at IS NOT NULL`))
	}
}
