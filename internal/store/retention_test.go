package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

const month = 30 * 24 * time.Hour

// oldEvents are those that OldEvents finds from the beginning, and the position it gives.
func oldEvents(t testing.TB, db store.DB, limit int) ([]uuid.UUID, pglogrepl.LSN) {
	t.Helper()
	old, err := store.OldEvents(t.Context(), db, month, time.Time{}, limit)
	require.NoError(t, err)
	return old.IDs, old.Position
}

func TestOldEvents(t *testing.T) {
	t.Parallel()

	db := database(t)
	ids, _ := oldEvents(t, db, 10)
	require.Empty(t, ids)

	putEvents(t, db, month+time.Hour, 1, 2, 3, 4, 5)
	putEvents(t, db, month-time.Hour, 6)
	put(t, db, // 1 has none.
		given{id: 20, event: 2, status: "accepted"}, given{id: 21, event: 2, subscription: 1, status: "failed"},
		given{id: 30, event: 3, status: "accepted"}, given{id: 31, event: 3, subscription: 1, due: time.Hour, status: "retrying"},
		given{id: 40, event: 4, due: -time.Hour},
		given{id: 50, event: 5, status: "cancelled"})
	inserted, err := store.CurrentWAL(t.Context(), db)
	require.NoError(t, err)
	ids, position := oldEvents(t, db, 10)
	require.ElementsMatch(t, []uuid.UUID{number(1), number(2), number(5)}, ids, "nothing young, nothing unfinished")
	require.GreaterOrEqual(t, position, inserted, "they were committed before it")
	ids, _ = oldEvents(t, db, 2)
	require.Len(t, ids, 2)
}

// Each look begins where the last one ended; those of one moment may be looked at again.
func TestOldEventsFrom(t *testing.T) {
	t.Parallel()

	db := database(t)
	putEvents(t, db, 2*month, 3)
	putEvents(t, db, 3*month, 2)
	putEvents(t, db, 4*month, 1)
	putEvents(t, db, month/2, 4)
	var from time.Time
	for n, want := range []struct{ ids []uuid.UUID }{
		{[]uuid.UUID{number(1), number(2)}}, {[]uuid.UUID{number(2), number(3)}}, {[]uuid.UUID{number(3)}}, {nil},
	} {
		old, err := store.OldEvents(t.Context(), db, month, from, 2)
		require.NoError(t, err)
		require.Len(t, old.IDs, len(want.ids), n)
		require.ElementsMatch(t, want.ids, old.IDs, n)
		if len(old.IDs) < 2 {
			require.WithinDuration(t, time.Now().Add(-month), old.Until, time.Minute, "up to the age asked for")
		} else {
			last := pgtest.Value[time.Time](t, db, `SELECT created_at FROM outbox.events WHERE id = $1`, old.IDs[1])
			require.True(t, old.Until.Equal(last))
		}
		from = old.Until
	}
}

// Between looking and removing, a delivery may have begun.
func TestDeleteEvents(t *testing.T) {
	t.Parallel()

	db := database(t)
	putEvents(t, db, 2*month, 1, 2, 3)
	ids, _ := oldEvents(t, db, 10)
	require.Len(t, ids, 3)
	put(t, db, given{id: 20, event: 2, due: time.Hour})

	// One that is being replayed elsewhere, locked, is left for later.
	tx := begin(t, db)
	pgtest.Execute(t, tx, `SELECT FROM outbox.events WHERE id = $1 FOR KEY SHARE`, number(3))
	removed, err := store.DeleteEvents(t.Context(), db, ids)
	require.NoError(t, err)
	require.EqualValues(t, 1, removed)
	require.Equal(t, []uuid.UUID{number(2), number(3)}, pgtest.Values[uuid.UUID](t, db, `SELECT id FROM outbox.events ORDER BY id`))
	require.NoError(t, tx.Rollback(t.Context()))
	removed, err = store.DeleteEvents(t.Context(), db, ids)
	require.NoError(t, err)
	require.EqualValues(t, 1, removed)
	removed, err = store.DeleteEvents(t.Context(), db, nil)
	require.NoError(t, err)
	require.Zero(t, removed)
}

func TestExpireDeliveries(t *testing.T) {
	t.Parallel()

	db := database(t)
	putEvents(t, db, 2*month, 2)
	put(t, db,
		given{id: 1, event: 1, age: 2 * month, status: "accepted"},
		given{id: 2, event: 2, age: 2 * month, status: "accepted"}, // Its event is there.
		given{id: 3, event: 3, age: 2 * month, due: -time.Hour},    // Unfinished.
		given{id: 4, event: 4, age: 2 * month, due: time.Hour, status: "retrying"},
		given{id: 5, event: 5, age: month - time.Hour, status: "accepted"}, // Young, its event removed by hand.
		given{id: 6, event: 6, age: 3 * month, status: "failed"},
		given{id: 7, event: 7, age: 4 * month, status: "cancelled"})
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms)
		SELECT id, n, now(), 1 FROM outbox.deliveries, generate_series(1, 3) AS n`)

	for _, want := range []struct {
		removed int64
		left    []int
	}{
		{2, []int{1, 2, 3, 4, 5}}, // The oldest first.
		{1, []int{2, 3, 4, 5}},
		{0, []int{2, 3, 4, 5}},
	} {
		removed, _, err := store.ExpireDeliveries(t.Context(), db, time.Time{}, time.Now().Add(-month), 2)
		require.NoError(t, err)
		require.Equal(t, want.removed, removed)
		require.Equal(t, want.left, pgtest.Values[int](t, db, `SELECT right(id::text, 12)::int FROM outbox.deliveries ORDER BY id`))
		require.Equal(t, want.left, pgtest.Values[int](t, db, `
			SELECT right(delivery_id::text, 12)::int FROM outbox.attempts GROUP BY 1 HAVING count(*) = 3 ORDER BY 1`))
		require.Equal(t, 3*len(want.left), pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.attempts`))
	}
}

// Each batch begins where the last one ended, and ends at a time.
func TestExpireDeliveriesBetween(t *testing.T) {
	t.Parallel()

	db := database(t)
	for id := 1; id <= 5; id++ {
		put(t, db, given{id: id, event: id, age: time.Duration(10-id) * month, status: "accepted"})
	}
	at := func(id int) time.Time {
		return pgtest.Value[time.Time](t, db, `SELECT event_created_at FROM outbox.deliveries WHERE id = $1`, number(id))
	}
	third, fourth := at(3), at(4)
	removed, last, err := store.ExpireDeliveries(t.Context(), db, at(2), fourth, 2)
	require.NoError(t, err)
	require.EqualValues(t, 2, removed)
	require.True(t, last.Equal(third))
	removed, last, err = store.ExpireDeliveries(t.Context(), db, last, fourth, 2)
	require.NoError(t, err)
	require.EqualValues(t, 1, removed)
	require.True(t, last.Equal(fourth))
	removed, last, err = store.ExpireDeliveries(t.Context(), db, last, fourth, 2)
	require.NoError(t, err)
	require.Zero(t, removed)
	require.True(t, last.Equal(fourth))
	require.Equal(t, []int{1, 5}, pgtest.Values[int](t, db, `SELECT right(id::text, 12)::int FROM outbox.deliveries ORDER BY id`))
}

// Over a table of everything, batch by batch, just what is old and done goes, with all that belongs to it.
func TestRetention(t *testing.T) {
	t.Parallel()

	db := database(t)
	pgtest.Execute(t, db, `SELECT setseed(0.5)`)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.events (id, type, payload, created_at)
		SELECT outbox.uuid7(), 'a', '{}', now() - random() * interval '60 days' FROM generate_series(1, 2000)`)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, url)
		SELECT outbox.uuid7(), e.id, outbox.uuid7(), e.created_at, CASE WHEN s.status = 'pending' THEN now() END, s.status, 'a', 'default', ''
		  FROM outbox.events AS e, generate_series(1, 3) AS n,
		       LATERAL (SELECT CASE WHEN random() < 0.1 THEN 'pending' ELSE 'accepted' END WHERE random() < 0.9 OR e.id IS NULL) AS s(status)`)
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms) SELECT id, 1, now(), 1 FROM outbox.deliveries`)
	const kept = `
		SELECT e.id FROM outbox.events AS e
		 WHERE e.created_at >= now() - interval '30 days'
		    OR EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.status = 'pending') ORDER BY 1`
	want := pgtest.Values[uuid.UUID](t, db, kept)
	require.Greater(t, len(want), 1000)
	require.Less(t, len(want), 1900)

	for {
		ids, _ := oldEvents(t, db, 100)
		if len(ids) == 0 {
			break
		}
		removed, err := store.DeleteEvents(t.Context(), db, ids)
		require.NoError(t, err)
		require.EqualValues(t, len(ids), removed)
	}
	for {
		removed, _, err := store.ExpireDeliveries(t.Context(), db, time.Time{}, time.Now().Add(-month), 100)
		require.NoError(t, err)
		if removed == 0 {
			break
		}
	}
	require.Equal(t, want, pgtest.Values[uuid.UUID](t, db, `SELECT id FROM outbox.events ORDER BY id`))
	require.Zero(t, pgtest.Value[int](t, db, `
		SELECT count(*) FROM outbox.deliveries AS d FULL JOIN outbox.attempts AS a ON a.delivery_id = d.id
		 WHERE d.id IS NULL OR a.attempt IS NULL OR NOT EXISTS (SELECT FROM outbox.events AS e WHERE e.id = d.event_id)`))
}
