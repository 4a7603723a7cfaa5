package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

func TestARateSpacesRequestsEvenly(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, slow, free := pgtest.Pool(t, url), receiver.New(t, nil), receiver.New(t, nil)
	id := subscribe(t, db, slow, "*")
	subscribe(t, db, free, "*")
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET rate = 20 WHERE id = $1::uuid`, id)
	start(t, url, slot)
	start := time.Now()
	const events = 60 // Three seconds' worth.
	pgtest.Execute(t, db, `SELECT outbox.emit('a', to_json(n)) FROM generate_series(1, $1::int) AS n`, events)
	free.WaitFor(events)
	require.Less(t, slow.Len(), events, "the other URL does not wait for the limited one")
	requests := slow.WaitFor(events)
	require.GreaterOrEqual(t, time.Since(start), (events-2)*time.Second/20, "no faster than the rate")
	// In no second more than its rate, but for what timers owe.
	for i := range requests[:events-25] {
		require.Greater(t, requests[i+25].At.Sub(requests[i].At), time.Second, "25 requests from number %d", i)
	}
	await(t, "accepted", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == 2*events
	})
	require.Equal(t, events, slow.Len(), "nothing twice")
}

func TestALowRateHoldsBackNoSlot(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	id := subscribe(t, db, r, "*")
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET rate = 0.5 WHERE id = $1::uuid`, id)
	start(t, url, slot)
	pgtest.Execute(t, db, `SELECT outbox.emit('a', to_json(n)) FROM generate_series(1, 200) AS n`)
	at := pgtest.Value[string](t, db, `SELECT pg_current_wal_lsn()::text`)
	await(t, "the slot has passed them", func() bool {
		return pgtest.Value[bool](t, db, `SELECT confirmed_flush_lsn >= $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $2`, at, slot)
	})
	require.Less(t, r.Len(), 30, "at one in two seconds")
	require.Greater(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'pending'`), 100)
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET rate = NULL WHERE id = $1::uuid`, id)
	r.WaitFor(200)
}

func TestConcurrencyOfASubscription(t *testing.T) {
	var now, most atomic.Int64
	r := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(20 * time.Millisecond) // So that requests can overlap.
		w.WriteHeader(http.StatusOK)
	}))
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db := pgtest.Pool(t, url)
	id := subscribe(t, db, r, "*")
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET concurrency = 3 WHERE id = $1::uuid`, id)
	// Two relays: the limit is one for both, also of what waits in the database, where either could take it up.
	start(t, url, slot)
	start(t, url, slot)
	pgtest.Execute(t, db, `SELECT outbox.emit('a', to_json(n)) FROM generate_series(1, 100) AS n`)
	r.WaitFor(100)
	await(t, "accepted", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == 100
	})
	pgtest.Execute(t, db, `SELECT outbox.replay(d.delivery_id) FROM outbox.delivery_log AS d CROSS JOIN generate_series(1, 4)`)
	r.WaitFor(500)
	require.EqualValues(t, 3, most.Load())
}

func TestTimeoutOfASubscription(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.Hang()
	id := subscribe(t, db, r, "*")
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET timeout = '700ms' WHERE id = $1::uuid`, id)
	start(t, url, slot, "RELAY_DELIVERY_RETRY_BASE=100ms", "RELAY_DELIVERY_RETRY_UNIT=0s", "RELAY_DELIVERY_RETRY_MAX=1")
	emit(t, db, "a")
	await(t, "failed", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'failed'`) == 1
	})
	require.Equal(t, 2, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.attempts
		WHERE error_class = 'timeout' AND error LIKE '%700ms%' AND duration_ms BETWEEN 700 AND 5000`))
}

func TestRetryAfterIsHonoured(t *testing.T) {
	r := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db := pgtest.Pool(t, url)
	subscribe(t, db, r, "*")
	start(t, url, slot, "RELAY_DELIVERY_RETRY_ON=unreachable,429")
	emit(t, db, "a")
	await(t, "retrying", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'retrying' AND response_code = 429`) == 1
	})
	require.Equal(t, "00:01:30", pgtest.Value[string](t, db, `SELECT (next_attempt_at - last_attempt_at)::text FROM outbox.deliveries`))
}

// A hundred hanging deliveries and a thousand good retries among several relays: the work spreads, and nothing is sent
// twice.
func TestSeveralRelaysShareTheWork(t *testing.T) {
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			url, slot := pgtest.Migrated(t), pgtest.Slot(t)
			db := pgtest.Pool(t, url)
			receivers := make([]*receiver.Receiver, 4)
			for i := range receivers {
				receivers[i] = receiver.New(t, nil)
				receivers[i].SetDelay(5 * time.Millisecond)
				receivers[i].SetStatus(http.StatusInternalServerError)
				subscribe(t, db, receivers[i], "*")
			}
			first := start(t, url, slot)
			pgtest.Execute(t, db, `SELECT outbox.emit('a', to_json(n)) FROM generate_series(1, 500) AS n`)
			await(t, "rejected", func() bool {
				return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'rejected'`) == 2000
			})
			first.stop()
			relays := make([]*instance, n)
			for i := range relays {
				relays[i] = start(t, url, slot, "RELAY_DELIVERY_CONCURRENCY_PER_SUBSCRIPTION=16")
			}
			for _, r := range receivers {
				r.SetStatus(http.StatusOK)
				r.SetDelay(300 * time.Millisecond) // So that it lasts for seconds: each relay looks for work twice a second.
			}
			_, err := db.Exec(context.Background(), `SELECT outbox.replay(delivery_id) FROM outbox.delivery_log`)
			require.NoError(t, err)
			await(t, "replayed", func() bool {
				return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == 2000
			})
			for _, r := range receivers {
				require.Equal(t, 1000, r.Len(), "once before, once replayed")
			}
			for _, relay := range relays {
				relay.stop() // Writes its last statistics.
			}
			shares := pgtest.Value[int](t, db, `SELECT count(DISTINCT relay_id) FROM outbox.relay_stats WHERE accepted >= 100`)
			require.Equal(t, n, shares, "each relay took a share of the work")
			require.Equal(t, 2000, pgtest.Value[int](t, db, `SELECT sum(accepted)::int FROM outbox.subscription_stats`))
			require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.relays`), "all have said goodbye")
		})
	}
}
