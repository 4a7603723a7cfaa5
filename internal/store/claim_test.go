package store_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// want is up to n deliveries of each subscription.
func want(n int, lease time.Duration, subscriptions ...int) []store.Wanted {
	var all []store.Wanted
	for _, s := range subscriptions {
		all = append(all, store.Wanted{SubscriptionID: number(s), Most: n, Lease: lease})
	}
	return all
}

// claim takes up to n deliveries of each subscription, and returns their numbers in order.
func claim(t testing.TB, db store.DB, token uuid.UUID, lease time.Duration, n int, subscriptions ...int) []int {
	t.Helper()
	claimed, err := store.Claim(t.Context(), db, want(n, lease, subscriptions...), token)
	require.NoError(t, err)
	var numbers []int
	for _, c := range claimed {
		numbers = append(numbers, numberOf(t, c.ID))
	}
	slices.Sort(numbers)
	return numbers
}

func TestClaim(t *testing.T) {
	t.Parallel()

	db := database(t)
	putEvents(t, db, 0, 102)
	put(t, db,
		given{id: 1, event: 101, subscription: 1, due: -time.Minute},
		given{id: 2, event: 102, subscription: 1, due: -time.Hour, status: "retrying", lease: theirs}, // Its lease is over.
		given{id: 3, event: 103, subscription: 1, due: -time.Second},
		given{id: 4, event: 104, subscription: 1, due: time.Hour, lease: theirs},
		given{id: 5, event: 105, subscription: 1, status: "accepted"},
		given{id: 6, event: 106, subscription: 2, due: -time.Second},
		given{id: 7, event: 107, subscription: 3, due: -time.Second})
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET attempts = 4 WHERE id = $1`, number(2))

	claimed, err := store.Claim(t.Context(), db, []store.Wanted{
		{number(1), 2, 21 * time.Second}, {number(2), 5, 5 * time.Minute}, {number(8), 5, time.Hour},
	}, ours)
	require.NoError(t, err)
	require.ElementsMatch(t, []store.Claimed{
		{ID: number(2), EventID: number(102), SubscriptionID: number(1), Attempts: 4, PayloadBytes: len(`{"n": 1}`)},
		{ID: number(1), EventID: number(101), SubscriptionID: number(1)},
		{ID: number(6), EventID: number(106), SubscriptionID: number(2)},
	}, claimed, "the longest due first, up to each limit; the event of some is gone")
	require.Equal(t, []string{"1 pending", "2 retrying", "6 pending"}, pgtest.Values[string](t, db, `
		SELECT right(id::text, 1) || ' ' || status FROM outbox.deliveries AS d
		  JOIN (VALUES ($2::uuid, interval '21 s'), ($3::uuid, interval '5 min')) AS w(subscription_id, lease) USING (subscription_id)
		 WHERE d.lease = $1 AND clock_timestamp() - (due_at - w.lease) BETWEEN '0' AND '15 s' ORDER BY 1`, ours, number(1), number(2)),
		"each under the lease that was asked for")
	require.Equal(t, []int{3, 7}, claim(t, db, theirs, time.Hour, 10, 1, 2, 3))
	require.Empty(t, claim(t, db, theirs, time.Hour, 10, 1, 2, 3), "all are in somebody's hands")
	require.Empty(t, claim(t, db, theirs, time.Hour, 10), "of no subscriptions, nothing")
}

// Limits hold whatever plan Postgres makes: were the rows to claim looked for again and again, more would be taken.
func TestClaimKeepsItsLimitsUnderAnyPlan(t *testing.T) {
	t.Parallel()

	db := database(t)
	all := []string{"enable_nestloop", "enable_hashjoin", "enable_mergejoin", "enable_material", "enable_seqscan",
		"enable_indexscan", "enable_bitmapscan"}
	for i := range 30 {
		put(t, db, given{id: i, event: i, subscription: i % 3, due: -time.Duration(i+1) * time.Minute})
	}
	conn, err := db.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	pgtest.Execute(t, conn, `SET jit = off`) // Plans that are called costly would be compiled.
	for off := range 1 << len(all) {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		for i, name := range all {
			if off>>i&1 == 1 {
				pgtest.Execute(t, tx, `SELECT set_config($1, 'off', true)`, name)
			}
		}
		claimed, err := store.Claim(t.Context(), tx, slices.Concat(want(4, time.Hour, 0), want(1, time.Hour, 1), want(0, time.Hour, 2)), ours)
		require.NoError(t, err)
		taken := make(map[uuid.UUID]int)
		for _, c := range claimed {
			taken[c.SubscriptionID]++
			require.GreaterOrEqual(t, numberOf(t, c.ID), 18, "the longest due first, plan %b", off)
		}
		require.Equal(t, map[uuid.UUID]int{number(0): 4, number(1): 1}, taken, "plan %b", off)
		require.Equal(t, 5, pgtest.Value[int](t, tx, `SELECT count(*) FROM outbox.deliveries WHERE lease IS NOT NULL`))
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// Two who claim at once never get the same delivery, nor wait for each other.
func TestClaimersDoNotOverlap(t *testing.T) {
	t.Parallel()

	const n, claimers = 3000, 4
	db := database(t)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, url)
		SELECT gen_random_uuid(), gen_random_uuid(), ('00000000-0000-4000-8000-' || lpad((i % 3)::text, 12, '0'))::uuid, now(), now(),
		       'pending', 'a', 'default', '' FROM generate_series(1, $1::int) AS i`, n)

	// A transaction that is open holds some: the others pass them by.
	tx := begin(t, db)
	held, err := store.Claim(t.Context(), tx, want(10, time.Hour, 0), ours)
	require.NoError(t, err)
	require.Len(t, held, 10)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // Who waits for those would wait for ever.
	defer cancel()
	var mu sync.Mutex
	var wait sync.WaitGroup
	owner := make(map[uuid.UUID]uuid.UUID)
	twice := 0
	for range claimers {
		wait.Go(func() {
			token := uuid.New()
			for {
				claimed, err := store.Claim(ctx, db, want(7, time.Hour, 0, 1, 2), token)
				if err != nil || len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, c := range claimed {
					if owner[c.ID] != uuid.Nil {
						twice++
					}
					owner[c.ID] = token
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	require.NoError(t, tx.Commit(t.Context()))
	require.Zero(t, twice)
	require.Len(t, owner, n-10)
	for id, token := range owner {
		require.True(t, pgtest.Value[bool](t, db, `SELECT lease = $2 FROM outbox.deliveries WHERE id = $1`, id, token))
		break
	}
	require.Equal(t, n, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE lease IS NOT NULL`))
}

// When a lease is over, the next one takes the delivery up; the one before, late, writes nothing.
func TestALeaseEnds(t *testing.T) {
	t.Parallel()

	db := database(t)
	put(t, db, given{id: 1, event: 2, subscription: 3, due: -time.Minute})
	require.Equal(t, []int{1}, claim(t, db, ours, 0, 1, 3))
	require.Equal(t, []int{1}, claim(t, db, theirs, time.Hour, 1, 3))
	before := whole(t, db)

	save(t, db, record("accepted", 1, ours))
	require.NoError(t, store.Release(t.Context(), db, []uuid.UUID{number(1)}, ours))
	errands, err := store.FetchClaimed(t.Context(), db, []uuid.UUID{number(1)}, ours)
	require.NoError(t, err)
	require.Empty(t, errands)
	require.Equal(t, before, whole(t, db))

	save(t, db, record("accepted", 1, theirs))
	require.Equal(t, map[int]string{1: "accepted"}, statuses(t, db))
}

func TestFetchClaimed(t *testing.T) {
	t.Parallel()

	db := database(t)
	for i, active := range []bool{true, false} {
		subscribe(t, db, i+1, active)
	}
	const payload = ` {"b": 1, "b":  2, "\u0000": 1e999} `
	putEvents(t, db, time.Hour, 101, 102, 103)
	pgtest.Execute(t, db, `UPDATE outbox.events SET payload = $1::text::json, traceparent = CASE WHEN id = $2 THEN '00-trace' END`,
		payload, number(101))
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET timeout = '1.5 s'`)
	for i, g := range []given{
		{event: 101, subscription: 1}, {event: 102, subscription: 2}, {event: 103, subscription: 3}, {event: 104, subscription: 1},
		{event: 101, subscription: 1, lease: theirs}, {event: 101, subscription: 1, status: "accepted"},
	} {
		g.id = i + 1
		if g.lease == uuid.Nil {
			g.lease = ours
		}
		put(t, db, g)
	}
	errands, err := store.FetchClaimed(t.Context(), db, []uuid.UUID{number(1), number(2), number(3), number(4), number(5), number(6), number(7)}, ours)
	require.NoError(t, err)
	require.Len(t, errands, 4, "not what another holds, nor what is finished")
	byID := make(map[uuid.UUID]store.Errand)
	for _, e := range errands {
		byID[e.ID] = e
		require.Equal(t, "a", e.EventType)
		require.Equal(t, "default", e.Tenant)
		require.Nil(t, e.UserID)
		require.Equal(t, "https://example.com", e.URL)
		require.False(t, e.EventCreatedAt.IsZero())
	}
	whole, off, removed, expired := byID[number(1)], byID[number(2)], byID[number(3)], byID[number(4)]
	require.True(t, whole.HasEvent && whole.HasSubscription)
	require.Equal(t, payload, string(whole.Payload))
	require.Equal(t, "00-trace", whole.Traceparent)
	require.Empty(t, off.Traceparent)
	// As the journal has it, so that a retry goes by the same as a first attempt.
	require.JSONEq(t, pgtest.Value[string](t, db, `
		SELECT subscription::text FROM outbox.subscription_changes WHERE subscription_id = $1 ORDER BY id DESC LIMIT 1`, number(1)),
		*whole.Subscription)
	require.Contains(t, *whole.Subscription, `"timeout_us":1500000`)
	require.False(t, off.HasSubscription)
	require.False(t, removed.HasSubscription)
	require.Nil(t, removed.Subscription)
	require.True(t, expired.HasSubscription)
	require.False(t, expired.HasEvent)
	require.Nil(t, expired.Payload)
}

func TestRelease(t *testing.T) {
	t.Parallel()

	db := database(t)
	put(t, db,
		given{id: 1, event: 2, subscription: 3, due: time.Hour, lease: ours},
		given{id: 2, event: 2, subscription: 3, due: time.Hour, lease: theirs},
		given{id: 3, event: 2, subscription: 3, status: "accepted", lease: ours})
	require.NoError(t, store.Release(t.Context(), db, []uuid.UUID{number(1), number(2), number(3), number(4)}, ours))
	require.Equal(t, []string{"1 t t", "2 f f", "3  f"}, pgtest.Values[string](t, db, `
		SELECT concat(right(id::text, 1), ' ', due_at <= clock_timestamp(), ' ', lease IS NULL) FROM outbox.deliveries ORDER BY id`))
	before := whole(t, db)
	save(t, db, record("accepted", 1, ours))
	require.Equal(t, before, whole(t, db), "given back, it is anybody's, but has to be claimed")
	require.Equal(t, []int{1}, claim(t, db, theirs, time.Hour, 9, 3))
}

func TestDueSubscriptions(t *testing.T) {
	t.Parallel()

	db := database(t)
	find := func() []store.Due {
		due, err := store.DueSubscriptions(t.Context(), db)
		require.NoError(t, err)
		slices.SortFunc(due, func(a, b store.Due) int { return bytes.Compare(a.SubscriptionID[:], b.SubscriptionID[:]) })
		return due
	}
	require.Empty(t, find())

	for i := range 50 { // Every other one has something unfinished.
		g := given{id: 10 * i, event: i, subscription: i, due: time.Duration(i-25) * time.Hour}
		if i%2 == 0 {
			g.status = "accepted"
		}
		later, done := g, g
		later.id, later.due = g.id+1, g.due+time.Minute
		done.id, done.status = g.id+2, "rejected"
		put(t, db, later, g, done)
	}
	due := find()
	require.Len(t, due, 25)
	for n, d := range due {
		i := 2*n + 1
		require.Equal(t, number(i), d.SubscriptionID)
		require.InDelta(t, time.Duration(i-25)*time.Hour, d.In, float64(30*time.Second), "when the first falls due")
		require.Equal(t, store.Due{SubscriptionID: d.SubscriptionID, In: d.In}, d, "it has no limits of its own")
	}

	subscribe(t, db, 3, true)
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET rate = 0.5, concurrency = 7, timeout = '1.5 s'`)
	due = find()
	require.Equal(t, store.Due{
		SubscriptionID: number(3), In: due[1].In, Rate: 0.5, Concurrency: 7, Timeout: 1500 * time.Millisecond,
	}, due[1])
}
