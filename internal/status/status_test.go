package status_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/status"
	"github.com/outboxrelay/relay/internal/store"
)

// stage is a database that is the relay's home, with a slot and a subscription.
func stage(t *testing.T) (*pgxpool.Pool, *config.Config) {
	t.Helper()
	db := pgtest.Pool(t, pgtest.Migrated(t))
	cfg := config.Default()
	cfg.Replication.Slot = pgtest.Slot(t)
	require.NoError(t, store.SettleHome(t.Context(), db))
	pgtest.Execute(t, db, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", cfg.Replication.Slot)
	pgtest.Execute(t, db, "INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('crm', 'https://example.com/', '{*}')")
	return db, cfg
}

func beat(t *testing.T, db *pgxpool.Pool, h store.Heartbeat) uuid.UUID {
	t.Helper()
	h.ID, h.Host, h.PID, h.Version, h.StartedAt = uuid.New(), "web-1", 42, "1.0.0", time.Now().Add(-time.Hour)
	require.NoError(t, store.Beat(t.Context(), db, h))
	return h.ID
}

func gather(t *testing.T, db *pgxpool.Pool, cfg *config.Config) *status.Status {
	t.Helper()
	s, err := status.Gather(t.Context(), db, cfg)
	require.NoError(t, err)
	return s
}

func TestAllIsWell(t *testing.T) {
	db, cfg := stage(t)
	beat(t, db, store.Heartbeat{Slot: cfg.Replication.Slot, Ready: true, State: "standing by"})
	leader := beat(t, db, store.Heartbeat{Slot: cfg.Replication.Slot, Leads: true, Ready: true, State: "relaying", InFlight: 7})
	s := gather(t, db, cfg)
	require.Empty(t, s.Warnings)
	require.NotNil(t, s.Warnings, "a list in JSON")
	require.Len(t, s.Relays, 2)
	require.Equal(t, leader, s.Relays[0].ID, "who leads comes first")
	require.Equal(t, 7, s.Relays[0].InFlight)
	require.True(t, s.Slot.Exists)
	require.False(t, s.Slot.Active)
	require.Equal(t, "reserved", s.Slot.WALStatus)
	require.Equal(t, status.Subscriptions{Active: 1}, s.Subscriptions)
}

func TestWarnings(t *testing.T) {
	db, cfg := stage(t)
	slot := cfg.Replication.Slot
	requireWarnings := func(t *testing.T, want ...string) {
		t.Helper()
		got := gather(t, db, cfg).Warnings
		require.Len(t, got, len(want), "%q", got)
		for i := range want {
			require.Contains(t, got[i], want[i])
		}
	}
	noRelay := "no relay runs for slot " + slot + ": `relay run` starts one"
	requireWarnings(t, noRelay)

	gone := beat(t, db, store.Heartbeat{Slot: slot, Leads: true, Ready: true})
	pgtest.Execute(t, db, "UPDATE outbox.relays SET seen_at = now() - interval '40 seconds'")
	requireWarnings(t, noRelay+"; the last was on web-1, seen 40s ago")
	require.Empty(t, gather(t, db, cfg).Relays)
	pgtest.Execute(t, db, "DELETE FROM outbox.relays WHERE id = $1", gone)

	beat(t, db, store.Heartbeat{Slot: slot, State: "cannot set up: role app may not replicate"})
	requireWarnings(t, "the relay on web-1 (process 42) is not ready: cannot set up: role app may not replicate", "no relay reads the stream")
	beat(t, db, store.Heartbeat{Slot: "another", Leads: true, Ready: true})
	requireWarnings(t, "reads slot another", "not ready", "no relay reads the stream")
	pgtest.Execute(t, db, "DELETE FROM outbox.relays")
	beat(t, db, store.Heartbeat{Slot: slot, Leads: true, Ready: true})
	requireWarnings(t)

	beat(t, db, store.Heartbeat{Slot: "another", Leads: true, Ready: true})
	beat(t, db, store.Heartbeat{Slot: "third", Ready: true})
	requireWarnings(t, "the relay on web-1 (process 42) reads slot another: it sends each event too")
	pgtest.Execute(t, db, "DELETE FROM outbox.relays WHERE slot <> $1", slot)

	pgtest.Execute(t, db, "UPDATE outbox.subscriptions SET active = false")
	requireWarnings(t, "no subscription is switched on")
	pgtest.Execute(t, db, "UPDATE outbox.subscriptions SET active = true")

	pgtest.Execute(t, db, "UPDATE outbox.relay_home SET database_oid = 1")
	requireWarnings(t, "this is a copy of the database that the relay was set up for: nothing is sent from here until `relay adopt`")
	require.True(t, gather(t, db, cfg).Away)
	require.NoError(t, store.Adopt(t.Context(), db))

	pgtest.Execute(t, db, "SELECT pg_drop_replication_slot($1)", slot)
	requireWarnings(t, "replication slot "+slot+" is missing")
	pgtest.Execute(t, db, "SELECT pg_create_logical_replication_slot($1, 'test_decoding')", slot)
	requireWarnings(t, `belongs to something else (plugin "test_decoding"`)
	pgtest.Execute(t, db, "SELECT pg_drop_replication_slot($1)", slot)
	pgtest.Execute(t, db, "SELECT pg_create_physical_replication_slot($1)", slot)
	requireWarnings(t, "belongs to something else (it is a physical slot, such as a standby's)")
}

func TestASchemaThatIsNotThereIsAnError(t *testing.T) {
	_, err := status.Gather(t.Context(), pgtest.Pool(t, pgtest.URL(t)), config.Default())
	require.Error(t, err)
}

// steps are counts of a histogram: so many in each of the steps that are named.
func steps(counts map[time.Duration]int64) string {
	h := store.NewHistogram()
	for d, n := range counts {
		for range n {
			h.Add(d)
		}
	}
	return "{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(h), " ", ","), "[]") + "}"
}

func minute(t *testing.T, db *pgxpool.Pool, ago int, answers, delays string) {
	t.Helper()
	pgtest.Execute(t, db, `INSERT INTO outbox.relay_stats
		(minute, relay_id, events, accepted, rejected, unreachable, failed, answer_counts, delay_counts)
		VALUES (date_trunc('minute', now()) - $1 * interval '1 minute', gen_random_uuid(), 100, 90, 7, 3, 1, $2, $3)`, ago, answers, delays)
}

func TestWindows(t *testing.T) {
	db, cfg := stage(t)
	s := gather(t, db, cfg)
	require.Len(t, s.Windows, 3)
	require.Nil(t, s.Windows[2].Answers.P50, "nothing was counted")

	fast := steps(map[time.Duration]int64{time.Millisecond: 98, 300 * time.Millisecond: 1, 30 * time.Second: 1})
	slow := steps(map[time.Duration]int64{1500 * time.Microsecond: 49, 3 * time.Second: 51})
	minute(t, db, 1, fast, fast)
	minute(t, db, 1, fast, fast) // Of another relay.
	minute(t, db, 5, slow, slow)
	minute(t, db, 59, slow, slow)
	minute(t, db, 90, slow, slow)
	minute(t, db, 2, "{}", "{1,2}") // Of a version with other steps.

	s = gather(t, db, cfg)
	for i, want := range []struct{ minutes, events int64 }{{1, 200}, {5, 400}, {60, 500}} {
		w := s.Windows[i]
		require.EqualValues(t, want.minutes, w.Minutes)
		require.Equal(t, want.events, w.Events)
		require.Equal(t, want.events*90/100, w.Accepted)
		require.Equal(t, want.events/100, w.Failed)
		require.InDelta(t, float64(want.minutes*60)+30, w.Seconds, 31)
	}
	require.EqualValues(t, 1, *s.Windows[0].Answers.P50)
	require.EqualValues(t, 1, *s.Windows[0].Answers.P95)
	require.EqualValues(t, 500, *s.Windows[0].Answers.P99)
	require.EqualValues(t, 5000, *s.Windows[1].Answers.P95)
	require.EqualValues(t, 2, *s.Windows[2].Delays.P50)
}

func TestQuantile(t *testing.T) {
	h := store.NewHistogram()
	_, ok := h.Quantile(0.5)
	require.False(t, ok)
	h.Add(time.Minute)
	longest, ok := h.Quantile(0.99)
	require.True(t, ok)
	require.Negative(t, longest, "longer than all steps")
	h.Add(0)
	h.Add(time.Millisecond)
	half, _ := h.Quantile(0.5)
	require.Equal(t, time.Millisecond, half)
}

func deliveries(t *testing.T, db *pgxpool.Pool, n int, state, due string) {
	t.Helper()
	pgtest.Execute(t, db, `INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, url, due_at)
		SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), $2, 'a', 'default', 'https://example.com/',
		       now() + $3::interval FROM generate_series(1, $1)`, n, state, due)
}

func TestWaiting(t *testing.T) {
	db, cfg := stage(t)
	require.Zero(t, gather(t, db, cfg).Waiting)
	deliveries(t, db, 3, "pending", "1 minute")
	require.Zero(t, gather(t, db, cfg).Waiting.OldestDueSeconds, "none is due")
	deliveries(t, db, 2, "retrying", "-90 seconds")
	w := gather(t, db, cfg).Waiting
	require.EqualValues(t, 3, w.Pending)
	require.EqualValues(t, 2, w.Retrying)
	require.False(t, w.AtLeast)
	require.InDelta(t, 90, w.OldestDueSeconds, 30)
}

func TestTooMuchWaitsToBeCounted(t *testing.T) {
	db, cfg := stage(t)
	pgtest.Execute(t, db, `INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, url, due_at)
		SELECT gen_random_uuid(), id, id, now(), 'pending', 'a', 'default', 'https://example.com/', now()
		  FROM generate_series(1, 100000), (SELECT id FROM outbox.subscriptions) AS s`)
	w := gather(t, db, cfg).Waiting
	require.True(t, w.AtLeast)
	require.EqualValues(t, 100_000, w.Pending)

	minute(t, db, 0, "{}", "{}")
	pgtest.Execute(t, db, "UPDATE outbox.relay_stats SET pending = 123456, retrying = 7")
	w = gather(t, db, cfg).Waiting
	require.False(t, w.AtLeast, "the leading relay counted them")
	require.EqualValues(t, 123_456, w.Pending)
	require.EqualValues(t, 7, w.Retrying)
}

func TestWorstSubscriptions(t *testing.T) {
	db, cfg := stage(t)
	hour := func(id string, ago string, accepted, rejected, unreachable int) {
		pgtest.Execute(t, db, `INSERT INTO outbox.subscription_stats
			(subscription_id, hour, relay_id, accepted, rejected, unreachable, failed, duration_ms)
			VALUES (`+id+`, date_trunc('hour', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - $1::interval, gen_random_uuid(), $2, $3, $4, 1, 1000)`,
			ago, accepted, rejected, unreachable)
	}
	crm := "(SELECT id FROM outbox.subscriptions WHERE name = 'crm')"
	hour(crm, "0", 5, 1, 0)
	hour(crm, "1 hour", 0, 2, 1)
	hour(crm, "2 hours", 0, 1000, 0)
	hour("gen_random_uuid()", "0", 0, 0, 40)
	hour("gen_random_uuid()", "0", 1000, 0, 0)
	worst := gather(t, db, cfg).Worst
	require.Len(t, worst, 2, "only those at which something went wrong")
	require.Nil(t, worst[0].URL, "it was removed")
	require.EqualValues(t, 40, worst[0].Unreachable)
	require.Equal(t, "crm", *worst[1].Name)
	require.EqualValues(t, 5, worst[1].Accepted)
	require.EqualValues(t, 3, worst[1].Rejected)
	require.EqualValues(t, 1, worst[1].Unreachable)
	require.InDelta(t, 2000.0/9, worst[1].MeanMS, 0.01)
}

// A leader that was killed says nothing any more; whoever takes over does.
func TestOneRelayLeads(t *testing.T) {
	db, cfg := stage(t)
	slot := cfg.Replication.Slot
	dead := beat(t, db, store.Heartbeat{Slot: slot, Leads: true, Ready: true})
	elsewhere := beat(t, db, store.Heartbeat{Slot: "another", Leads: true, Ready: true})
	standby := beat(t, db, store.Heartbeat{Slot: slot, Ready: true})
	leads := func() []uuid.UUID {
		return pgtest.Values[uuid.UUID](t, db, `SELECT id FROM outbox.relays WHERE leads ORDER BY started_at, id`)
	}
	require.ElementsMatch(t, []uuid.UUID{dead, elsewhere}, leads())
	next := beat(t, db, store.Heartbeat{Slot: slot, Leads: true, Ready: true})
	require.ElementsMatch(t, []uuid.UUID{elsewhere, next}, leads())
	require.True(t, pgtest.Value[bool](t, db, `SELECT ready FROM outbox.relays WHERE id = $1`, standby))
}
