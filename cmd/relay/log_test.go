package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

// deliveries writes n deliveries as a relay would have: of event n, a second younger than event n-1, about user n%3.
func deliveries(t *testing.T, db *pgxpool.Pool, n int) {
	t.Helper()
	pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (id, name, url, event_types)
		VALUES ('00000000-0000-7000-8000-000000000001', 'crm', 'https://192.0.3.1/hook', '{*}')`)
	pgtest.Execute(t, db, `WITH e AS (
		INSERT INTO outbox.events (type, tenant, user_id, payload, created_at)
		SELECT CASE n % 2 WHEN 0 THEN 'user.invited' ELSE 'order.paid' END, CASE n % 5 WHEN 0 THEN 'acme' ELSE 'default' END,
		       (n % 3)::text, json_build_object('n', n), '2026-01-02 03:04:05+00'::timestamptz + n * interval '1 second'
		  FROM generate_series(1, $1) AS n RETURNING *)
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, last_attempt_at, next_attempt_at,
		                               finished_at, attempts, response_code, status, event_type, tenant, user_id, url, error_class, error)
		SELECT outbox.delivery_id(id, '00000000-0000-7000-8000-000000000001'), id, '00000000-0000-7000-8000-000000000001', created_at,
		       CASE WHEN (payload ->> 'n')::int % 4 = 0 THEN now() END, created_at, CASE WHEN (payload ->> 'n')::int % 4 = 0 THEN now() END,
		       CASE WHEN (payload ->> 'n')::int % 4 <> 0 THEN created_at END, 1, CASE WHEN (payload ->> 'n')::int % 4 <> 0 THEN 200 END,
		       CASE WHEN (payload ->> 'n')::int % 4 = 0 THEN 'retrying' ELSE 'accepted' END, type, tenant, user_id, 'https://192.0.3.1/hook',
		       CASE WHEN (payload ->> 'n')::int % 4 = 0 THEN 'connect' END, CASE WHEN (payload ->> 'n')::int % 4 = 0 THEN 'connection refused' END
		  FROM e`, n)
}

func TestLogFilters(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	deliveries(t, db, 450)
	for _, c := range []struct {
		flags string
		fits  func(n int) bool
		limit int
		more  bool
	}{
		{"", func(int) bool { return true }, 50, true},
		{"--limit 3", func(int) bool { return true }, 3, true},
		{"--limit 1000", func(int) bool { return true }, 450, false}, // Several pages of logPage.
		{"--limit 9223372036854775807", func(int) bool { return true }, 450, false},
		{"--limit 450", func(int) bool { return true }, 450, false},
		{"--limit 449", func(int) bool { return true }, 449, true},
		{"--limit 400", func(int) bool { return true }, 400, true}, // Whole pages.
		{"--limit 199", func(int) bool { return true }, 199, true},
		{"--user 1 --limit 1000", func(n int) bool { return n%3 == 1 }, 150, false},
		{"--status retrying --limit 1000", func(n int) bool { return n%4 == 0 }, 112, false},
		{"--type order.paid --limit 1000", func(n int) bool { return n%2 == 1 }, 225, false},
		{"--tenant acme --limit 1000", func(n int) bool { return n%5 == 0 }, 90, false},
		{"--tenant acme --user 0 --type user.invited --status retrying --limit 1000", func(n int) bool { return n%60 == 0 }, 7, false},
		{"--status failed", func(int) bool { return false }, 0, false},
	} {
		t.Run(c.flags, func(t *testing.T) {
			line := append([]string{"log"}, strings.Fields(c.flags)...)
			var want []string
			for n := 450; n > 0 && len(want) < c.limit; n-- {
				if c.fits(n) {
					want = append(want, pgtest.Value[string](t, db, "SELECT id::text FROM outbox.deliveries WHERE event_created_at = "+
						"'2026-01-02 03:04:05+00'::timestamptz + $1 * interval '1 second'", n))
				}
			}
			require.Len(t, want, c.limit)
			note := ""
			if c.more {
				note = fmt.Sprintf("relay: note: %d shown, there are more: --limit N\n", c.limit)
			}
			var got []string
			s := do(append(line, "--json")...)
			require.Equal(t, note, s.err)
			for _, d := range jsonLines[outbox.Delivery](t, s.out) {
				got = append(got, d.DeliveryID.String())
			}
			require.Equal(t, want, got, "newest first")

			s = do(line...)
			require.Equal(t, note, s.err)
			text := s.out
			if c.limit == 0 {
				require.Equal(t, "No delivery fits. `relay log` without flags shows the newest of all.\n", text)
				return
			}
			lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
			require.Len(t, lines, 1+len(want))
			for i, id := range want {
				require.True(t, strings.HasSuffix(lines[i+1], id))
			}
		})
	}
}

func TestLogAsTable(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	deliveries(t, db, 5)
	pgtest.Execute(t, db, "UPDATE outbox.deliveries SET user_id = E'a\\x1b[31mb' WHERE event_type = 'user.invited'")
	lines := strings.Split(did(t, "log"), "\n")
	require.Equal(t, "CREATED EVENT TYPE TENANT USER URL STATUS TRIES RESULT DELIVERY", strings.Join(strings.Fields(lines[0]), " "))
	for i, row := range []string{
		"order.paid acme 2 https://192.0.3.1/hook accepted 1 200 ", `user.invited a\x1b[31mb https://192.0.3.1/hook retrying 1 connect `,
		"order.paid 0 https://192.0.3.1/hook accepted 1 200 ",
	} {
		require.Contains(t, strings.Join(strings.Fields(lines[i+1]), " "), row)
	}
	require.NotContains(t, did(t, "log", "--tenant", "acme"), "TENANT", "asked for: it need not be repeated")
}

func TestEmptyLogSaysWhatIsNext(t *testing.T) {
	address := pgtest.URL(t)
	db := on(t, address)
	require.Equal(t, "relay: relation \"outbox.delivery_log\" does not exist: schema outbox is not there, or not as this version needs it; "+
		"run `relay init`\n", refused(t, exitFailed, "log"))

	did(t, "init")
	require.Equal(t, "Nothing has been sent yet. Nobody is subscribed:\n"+howToSubscribe, did(t, "log"))

	did(t, "subscriptions", "add", "--url", "https://192.0.3.1/", "--event-types", "user.*")
	require.Equal(t, "Nothing has been sent yet. No relay is at work:\n  relay run\n", did(t, "log"))

	slot := os.Getenv("RELAY_REPLICATION_SLOT")
	conn, err := pgconn.Connect(t.Context(), address+"&replication=database")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Conn().Close() })
	require.NoError(t, pglogrepl.StartReplication(t.Context(), conn, slot, 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"proto_version '1'", "publication_names '" + slot + "'"},
	}))
	said := did(t, "log")
	require.Contains(t, said, "Nothing has been sent yet. No event is there either. In SQL:\n  SELECT outbox.emit(")
	_, example, _ := strings.Cut(said, "SQL:\n") // What it shows must work.
	pgtest.Execute(t, db, strings.TrimSuffix(strings.TrimSpace(example), ";"))

	require.Equal(t, "Nothing has been sent yet. No subscription took the events there are:\n  relay subscriptions list\n", did(t, "log"))
	require.Empty(t, did(t, "log", "--json"))
}

func TestShow(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	deliveries(t, db, 4)
	id := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.deliveries WHERE status = 'retrying'")
	event := pgtest.Value[string](t, db, "SELECT event_id::text FROM outbox.deliveries WHERE status = 'retrying'")
	require.Contains(t, did(t, "show", id), "\nno attempts yet\n")
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms, response_code, error_class, error, response_body) VALUES
		($1::uuid, 1, now(), 12, NULL, 'connect', 'connection refused', NULL), ($1::uuid, 2, now(), 1500, 503, NULL, NULL, E'busy \x1b[31m\nlater')`, id)
	said := did(t, "show", id)
	for _, text := range []string{
		"delivery      " + id + "\n", "event         " + event + "\n", "event type    user.invited\n", "tenant        default\n", "user          1\n",
		"subscription  00000000-0000-7000-8000-000000000001 (crm)\n", "url           https://192.0.3.1/hook\n", "status        retrying\n",
		"error         connection refused\n", "\nlast attempt  ", "\nnext attempt  ", "\n\npayload\n  {\"n\" : 4}\n\nattempts\n   1  ",
		"     12 ms  connect: connection refused\n", "     1.5 s  503 Service Unavailable\n      busy \\x1b[31m\n      later\n",
	} {
		require.Contains(t, said, text)
	}
	require.NotContains(t, said, "\x1b")
	shown := jsonLines[shown](t, did(t, "show", id, "--json"))
	require.Len(t, shown, 1)
	require.Equal(t, id, shown[0].DeliveryID.String())
	require.Len(t, shown[0].AttemptLog, 2)

	pgtest.Execute(t, db, "DELETE FROM outbox.subscriptions")
	pgtest.Execute(t, db, "DELETE FROM outbox.events")
	said = did(t, "show", id)
	require.Contains(t, said, "(removed since)")
	require.Contains(t, said, "\npayload\n  none: the event was removed after its retention\n")

	const nobody = "01a21224-4fe6-8aed-b930-3ef934984903"
	require.Equal(t, "relay: no delivery "+nobody+"; `relay log` shows those there are\n", refused(t, exitFailed, "show", nobody))
}

func TestReplay(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	deliveries(t, db, 2)
	old := strings.Fields(pgtest.Value[string](t, db, "SELECT string_agg(id::text, ' ' ORDER BY event_created_at) FROM outbox.deliveries"))
	made := strings.Fields(did(t, append([]string{"replay"}, old...)...))
	require.Len(t, made, 2)
	for i, id := range made {
		require.Equal(t, old[i], pgtest.Value[string](t, db, "SELECT replay_of::text FROM outbox.deliveries WHERE id = $1::uuid AND status = 'pending'", id))
	}
	require.Contains(t, did(t, "show", made[0]), "\nreplay of     "+old[0]+"\n")

	const nobody = "01a21224-4fe6-8aed-b930-3ef934984903"
	require.Equal(t, "relay: no delivery "+nobody+" to replay; nothing was replayed. It does not exist, or its event was removed: of such ones, outbox.delivery_log has no payload\n",
		refused(t, exitFailed, "replay", old[0], nobody))
	require.Equal(t, "relay: \"x\" is not the id of a delivery; `relay log` shows them\n", refused(t, exitUsage, "replay", old[0], "x"))
	require.Equal(t, 4, pgtest.Value[int](t, db, "SELECT count(*) FROM outbox.deliveries"), "all are replayed, or none")

	did(t, "subscriptions", "disable", "crm")
	s := do("replay", old[0])
	require.Equal(t, exitDone, s.code)
	require.Equal(t, "relay: "+strings.TrimSpace(s.out)+" will be cancelled: its subscription was removed or is switched off\n", s.err)
}
