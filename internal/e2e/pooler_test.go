//go:build pgbouncer

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

func TestPgBouncerInFrontOfTheDatabase(t *testing.T) {
	direct, slot := pgtest.URL(t), pgtest.Slot(t)
	pooled := pgtest.PgBouncer(t, direct)
	environment := []string{
		"RELAY_DATABASE_URL=" + pooled, "RELAY_DATABASE_REPLICATION_URL=" + direct,
		"RELAY_REPLICATION_SLOT=" + slot, "RELAY_REPLICATION_PUBLICATION=" + slot, "RELAY_NETWORK_ALLOW=127.0.0.0/8",
		"RELAY_DELIVERY_RETRY_BASE=200ms", "RELAY_DELIVERY_RETRY_UNIT=0s", "RELAY_RETENTION=1h",
	}
	relay := func(arg ...string) string {
		t.Helper()
		out, code := command(t, environment, arg...)
		require.Zero(t, code, "relay %s: %s", strings.Join(arg, " "), out)
		return out
	}
	relay("init")
	db, r, dead := pgtest.Pool(t, direct), receiver.New(t, nil), receiver.New(t, nil)
	require.Contains(t, relay("subscriptions", "add", "--name", "crm", "--url", r.URL(), "--event-types", "*"), "crm")
	relay("subscriptions", "add", "--name", "dead", "--url", dead.URL(), "--event-types", "later")
	relay("check")

	running := start(t, pooled, slot, environment...)
	w := write(pooled+"&default_query_exec_mode=cache_describe", 500)
	await(t, "load", func() bool { return r.Len() > 600 })
	running.kill()
	start(t, pooled, slot, environment...)
	before := r.Len()
	await(t, "load after a kill", func() bool { return r.Len() > before+300 })
	w.end(t, db)
	require.LessOrEqual(t, w.account(t, db, r), mostInFlight)

	// A server that cannot be reached, twice, then can.
	dead.Hang()
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET timeout = '300 ms' WHERE name = 'dead'`)
	later := emit(t, db, "later")
	attempts := `SELECT coalesce(max(attempts), 0) FROM outbox.delivery_log WHERE event_type = 'later' AND url = $1`
	await(t, "attempts", func() bool { return pgtest.Value[int](t, db, attempts, dead.URL()) >= 2 })
	dead.SetStatus(200)
	dead.Release()
	await(t, "accepted in the end", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log WHERE event_type = 'later' AND url = $1
			AND status = 'accepted' AND attempts >= 3`, dead.URL()) == 1
	})

	// What is old goes.
	pgtest.Execute(t, db, `INSERT INTO outbox.events (type, payload, created_at) VALUES ('old', '1', now() - interval '2 hours')`)
	await(t, "delivered, then removed", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE event_type = 'later'`) == 2 &&
			pgtest.Value[int](t, db, `SELECT (SELECT count(*) FROM outbox.events WHERE type = 'old')
				+ (SELECT count(*) FROM outbox.deliveries WHERE event_type = 'old')`) == 0
	})

	delivery := pgtest.Value[string](t, db, `SELECT delivery_id::text FROM outbox.delivery_log WHERE url = $1`, dead.URL())
	require.Contains(t, relay("log", "--type", "later"), "accepted")
	require.Contains(t, relay("show", delivery), "dead")
	sent := dead.Count(later)
	relay("replay", delivery)
	await(t, "replayed", func() bool { return dead.Count(later) == sent+1 })
	require.Contains(t, relay("test", "crm"), "200")
	relay("subscriptions", "rotate", "crm")
	relay("subscriptions", "disable", "crm")
	require.Contains(t, relay("subscriptions", "list"), "dead")
}

// Replication does not go through a pooler: without replication_url both commands end, and name it.
func TestPgBouncerWithoutReplicationURL(t *testing.T) {
	pooled, slot := pgtest.PgBouncer(t, pgtest.URL(t)), pgtest.Slot(t)
	environment := []string{"RELAY_DATABASE_URL=" + pooled, "RELAY_REPLICATION_SLOT=" + slot, "RELAY_REPLICATION_PUBLICATION=" + slot}
	for _, name := range []string{"init", "check"} {
		out, code := command(t, environment, name)
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "set database.replication_url to the server itself", name)
	}
	i := launch(t, pooled, slot)
	select {
	case <-i.ended:
	case <-time.After(patience):
		require.Fail(t, "goes on trying", "%s", i.log)
	}
	require.Equal(t, 1, i.cmd.ProcessState.ExitCode())
	require.Contains(t, i.log.String(), "set database.replication_url to the server itself")
}
