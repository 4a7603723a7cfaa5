package main

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

// copied makes the database one that was restored from another's dump: two deliveries wait, and one event was not looked at.
func copied(t *testing.T) *pgxpool.Pool {
	t.Helper()
	db := on(t, pgtest.URL(t))
	did(t, "init")
	did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1:8443/x?token=t0ken", "--event-types", "*")
	did(t, "subscriptions", "add", "--name", "off", "--url", "https://192.0.3.2/", "--event-types", "*")
	did(t, "subscriptions", "disable", "off")
	pgtest.Execute(t, db, "SELECT outbox.emit('a', '{}') FROM generate_series(1, 3)")
	pgtest.Execute(t, db, `INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, url, due_at, next_attempt_at)
		SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at, 'retrying', 'a', 'default', s.url, now(), now()
		  FROM (SELECT * FROM outbox.events ORDER BY id LIMIT 2) AS e, outbox.subscriptions AS s WHERE s.name = 'crm'`)
	pgtest.Execute(t, db, "UPDATE outbox.relay_home SET system_identifier = '7000000000000000001', database_oid = 16384")
	return db
}

const (
	isHome    = "SELECT system_identifier <> '7000000000000000001' FROM outbox.relay_home"
	byStatus  = "SELECT coalesce(string_agg(status || ':' || n, ',' ORDER BY status), '') FROM (SELECT status, count(*) AS n FROM outbox.deliveries GROUP BY 1) AS d"
	activeOne = "SELECT count(*)::int FROM outbox.subscriptions WHERE active"
)

func TestAdopt(t *testing.T) {
	db := copied(t)
	s := do("adopt")
	require.Equal(t, exitUsage, s.code)
	require.Contains(t, s.out, "This database is a copy: the relay was set up for another.\n")
	require.Contains(t, s.out, "set up for  database oid 16384 of cluster 7000000000000000001\n")
	require.Contains(t, s.out, "waiting     3 deliveries to 1 active subscription\n  192.0.3.1:8443  3 deliveries\n")
	require.Contains(t, s.out, "give --cancel-waiting then")
	require.NotContains(t, s.out, "t0ken")
	require.Equal(t, "relay: nobody can be asked here: give --yes to go on without a question; nothing was done\n", s.err)

	s = answer("n\n", "adopt", "--cancel-waiting", "--disable-subscriptions")
	require.Equal(t, exitFailed, s.code)
	require.Contains(t, s.out, "\nCancel all that waits, switch all subscriptions off and make this database the relay's home? [y/N] ")
	require.False(t, pgtest.Value[bool](t, db, isHome))
	require.Equal(t, "retrying:2", pgtest.Value[string](t, db, byStatus))
	require.Equal(t, 1, pgtest.Value[int](t, db, activeOne))

	s = answer("y\n", "adopt")
	require.Equal(t, exitDone, s.code, s.err)
	require.Contains(t, s.out, "Make this database the relay's home? [y/N] This database is the relay's home now.\n")
	require.True(t, pgtest.Value[bool](t, db, isHome))
	require.Equal(t, "retrying:2", pgtest.Value[string](t, db, byStatus), "what waits goes on")

	require.Regexp(t, `^This database is the relay's home already, since .*: nothing to adopt\.\n$`, did(t, "adopt", "--cancel-waiting"))
	require.Equal(t, "retrying:2", pgtest.Value[string](t, db, byStatus))
	pgtest.Execute(t, db, "DELETE FROM outbox.relay_home")
	require.Contains(t, did(t, "adopt"), "nothing to adopt")
}

func TestAdoptForStaging(t *testing.T) {
	db := copied(t)
	declare(t, "subscriptions: [{name: crm, url: 'https://192.0.3.1/', event_types: ['*']}]")
	s := do("adopt", "--cancel-waiting", "--disable-subscriptions", "--yes")
	require.Equal(t, exitDone, s.code, s.err)
	require.Contains(t, s.out, "3 deliveries were cancelled. 1 subscription was switched off. This database is the relay's home now.\n")
	require.NotContains(t, s.out, "give --cancel-waiting then")
	require.Contains(t, s.err, "relay: warning: relay.yaml declares 1 subscription, and the next start switches it on again")
	require.True(t, pgtest.Value[bool](t, db, isHome))
	require.Equal(t, "cancelled:3", pgtest.Value[string](t, db, byStatus), "the event that no relay had looked at too")
	require.Zero(t, pgtest.Value[int](t, db, activeOne))
	require.Contains(t, did(t, "subscriptions", "list"), "switched off by relay adopt")
}

// All of it or nothing.
func TestAdoptThatFails(t *testing.T) {
	db := copied(t)
	pgtest.Execute(t, db, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
		CREATE TRIGGER refuse BEFORE UPDATE ON outbox.relay_home FOR EACH ROW EXECUTE FUNCTION refuse()`)
	require.Equal(t, exitFailed, do("adopt", "--cancel-waiting", "--disable-subscriptions", "--yes").code)
	require.Equal(t, "retrying:2", pgtest.Value[string](t, db, byStatus))
	require.Equal(t, 1, pgtest.Value[int](t, db, activeOne))
	require.False(t, pgtest.Value[bool](t, db, isHome))
}

func TestCheckSaysThatThisIsACopy(t *testing.T) {
	db := copied(t)
	s := do("check")
	require.Equal(t, exitFailed, s.code)
	require.Contains(t, s.out, "home: this is a copy of the database that the relay was set up for")
	require.Contains(t, s.out, "relay adopt")
	did(t, "adopt", "--yes")
	require.Contains(t, do("check").out, "home: the relay was set up for this database\n")
	pgtest.Execute(t, db, "DELETE FROM outbox.relay_home")
	require.Contains(t, do("check").out, "home: no relay was set up here yet\n")
}
