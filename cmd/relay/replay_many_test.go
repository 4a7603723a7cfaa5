package main

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

// rejections makes a subscription of that name with so many rejected deliveries, of events of an hour ago.
func rejections(t *testing.T, db *pgxpool.Pool, name string, n int) {
	t.Helper()
	did(t, "subscriptions", "add", "--name", name, "--url", "https://192.0.3.1/", "--event-types", "*")
	pgtest.Execute(t, db, `
		WITH e AS (
		  INSERT INTO outbox.events (type, user_id, payload, created_at)
		  SELECT 'a', 'it''s', '{}', now() - interval '1 hour' FROM generate_series(1, $1) RETURNING *
		)
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, user_id, url)
		SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at, 'rejected', e.type, e.tenant, e.user_id, s.url
		  FROM e, outbox.subscriptions AS s WHERE s.name = $2`, n, name)
}

const replays = "SELECT count(*)::int FROM outbox.deliveries WHERE replay_of IS NOT NULL"

func TestReplayOfMany(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	rejections(t, db, "crm", 25)
	many := func(more ...string) []string {
		return append([]string{"replay", "--subscription", "crm", "--since", "2h"}, more...)
	}
	require.Regexp(t, `^25 deliveries to crm, failed, rejected or cancelled and not replayed since,\nof events from .{19} to .{19}\.\n$`,
		did(t, many("--dry-run")...))
	s := do(many()...)
	require.Equal(t, exitUsage, s.code)
	require.Equal(t, "relay: nobody can be asked here: give --yes to go on without a question; nothing was done\n", s.err)
	s = answer("no\n", many()...)
	require.Equal(t, exitFailed, s.code)
	require.Equal(t, "relay: nothing was done\n", s.err)
	require.True(t, strings.HasSuffix(s.out, "Replay them? [y/N] "), s.out)
	require.Contains(t, did(t, many("--yes", "--status", "failed, cancelled")...), "0 deliveries to crm")
	require.Contains(t, did(t, many("--yes", "--type", "b")...), "0 deliveries to crm")
	require.Contains(t, did(t, many("--yes", "--until", "90m")...), "0 deliveries to crm")
	require.Zero(t, pgtest.Value[int](t, db, replays))

	s = answer("y\n", many("--user", "it's")...)
	require.Equal(t, exitDone, s.code, s.err)
	require.Contains(t, s.out, "Made 25 new deliveries. The running relay sends them at once.\n")
	require.Equal(t, 25, pgtest.Value[int](t, db, replays))
	require.Contains(t, did(t, many("--yes")...), "0 deliveries to crm, failed, rejected or cancelled and not replayed since")

	rejections(t, db, "erp", 10)
	require.Contains(t, did(t, "replay", "--subscription", "erp", "--since", "2h"), "Made 10 new deliveries", "a handful needs no question")
	pgtest.Execute(t, db, "DELETE FROM outbox.events; DELETE FROM outbox.deliveries WHERE replay_of IS NOT NULL")
	require.Contains(t, did(t, many("--yes")...), "0 deliveries to crm, failed, rejected or cancelled and not replayed since,")
	require.Contains(t, did(t, many("--yes")...), "25 more cannot be replayed: the events were removed after the retention.\n")
}

func TestReplayOfManyToWhoIsOff(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	rejections(t, db, "crm", 2)
	did(t, "subscriptions", "disable", "crm")
	s := do("replay", "--subscription", "crm", "--since", "2h", "--yes")
	require.Equal(t, exitFailed, s.code)
	require.Equal(t, "relay: crm is switched off: what is replayed to it would be cancelled; `relay subscriptions enable crm` first\n", s.err)
	require.Zero(t, pgtest.Value[int](t, db, replays))
	s = do("replay", "--subscription", "crm", "--since", "2h", "--dry-run")
	require.Equal(t, exitDone, s.code)
	require.Contains(t, s.err, "relay: note: crm is switched off")
}

// A database that fails half way: what was made is told, and so is the command that goes on.
func TestReplayOfManyThatFailsHalfWay(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	rejections(t, db, "crm", 1500)
	pgtest.Execute(t, db, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
		  IF (SELECT count(*) FROM outbox.deliveries WHERE replay_of IS NOT NULL) >= 1200 THEN RAISE EXCEPTION 'the disk is full'; END IF;
		  RETURN NEW;
		END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON outbox.deliveries FOR EACH ROW EXECUTE FUNCTION refuse()`)
	s := do("replay", "--subscription", "crm", "--since", "2h", "--user", "it's", "--yes")
	require.Equal(t, exitFailed, s.code)
	require.Contains(t, s.err, "the disk is full")
	said, command, found := strings.Cut(s.err, "1,000 of 1,500 were replayed, and stay so. The rest: relay ")
	require.True(t, found, s.err)
	require.NotContains(t, said, "\n")
	require.Equal(t, 1000, pgtest.Value[int](t, db, replays))
	require.Contains(t, command, ` --user 'it'\''s' --yes`)

	pgtest.Execute(t, db, "DROP TRIGGER refuse ON outbox.deliveries")
	args := strings.Fields(strings.ReplaceAll(command, `'it'\''s'`, "it's"))
	require.Contains(t, did(t, args...), "Made 500 new deliveries")
	require.Equal(t, 1500, pgtest.Value[int](t, db, "SELECT count(DISTINCT replay_of)::int FROM outbox.deliveries"))
}

func TestBadReplays(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	rejections(t, db, "crm", 1)
	id := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.deliveries")
	for args, want := range map[string]string{
		"":                                "replay: which delivery? `relay log` shows their ids",
		"--since 2h":                      "give deliveries, or both --subscription and --since: whose deliveries, and since when?",
		"--subscription crm":              "give deliveries, or both --subscription and --since: whose deliveries, and since when?",
		"--yes":                           "give deliveries, or both --subscription and --since: whose deliveries, and since when?",
		"--since 2h " + id:                "give either deliveries, or --subscription and --since",
		"--subscription crm --since soon": `--since "soon": is no time: write 2h or 3d (ago), 2026-01-31, '2026-01-31 18:00' or 2026-01-31T18:00:00Z`,
		"--subscription crm --since 2h --until x":                                      `--until "x": is no time: write 2h or 3d (ago), 2026-01-31, '2026-01-31 18:00' or 2026-01-31T18:00:00Z`,
		"--subscription crm --since 2026-01-02T00:00:00Z --until 2026-01-01T00:00:00Z": "--since 2026-01-02T00:00:00Z: is not before --until 2026-01-01T00:00:00Z",
		"--subscription crm --since 2h --status pending":                               "--status pending: is still to be sent, and needs no replay",
		"--subscription crm --since 2h --status lost":                                  `--status "lost": is none of accepted, rejected, failed, cancelled`,
		"--subscription crm --since 2h --status=":                                      "--status: is empty: failed, rejected, cancelled or accepted",
	} {
		require.Equal(t, "relay: "+want+"\n", refused(t, exitUsage, append([]string{"replay"}, strings.Fields(args)...)...), args)
	}
	require.Contains(t, refused(t, exitFailed, "replay", "--subscription", "nobody", "--since", "2h"), `no subscription "nobody"`)
	require.Zero(t, pgtest.Value[int](t, db, replays))
}

func TestADeliveryNamedTwiceIsReplayedOnce(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	rejections(t, db, "crm", 1)
	id := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.deliveries")
	require.Equal(t, 1, strings.Count(did(t, "replay", id, strings.ToUpper(id), id), "\n"))
	require.Equal(t, 1, pgtest.Value[int](t, db, replays))
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		require.Equal(t, want, thousands(n))
	}
}
