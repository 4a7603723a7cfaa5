package check_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
)

func TestConnection(t *testing.T) {
	good := pgtest.URL(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := silent.Addr().String()
	require.NoError(t, silent.Close())

	for _, c := range []struct {
		name, address, what, mend string
	}{
		{"not configured", "", "no database is configured", "set database.url in relay.yaml, or RELAY_DATABASE_URL"},
		{"nothing listens", at(t, good, func(u *url.URL) { u.Host = free }),
			"nothing listens there: connection refused", "start the server, or correct host and port in database.url"},
		{"no such host", at(t, good, func(u *url.URL) { u.Host = "no-such-host.invalid" }),
			"no host of the name no-such-host.invalid", "correct the host in database.url"},
		{"no socket", "host=/nowhere user=postgres dbname=app",
			"no server on this machine: there is no socket", "start the server, or name its host and port in database.url"},
		{"no such database", at(t, good, func(u *url.URL) { u.Path = "/nope" }),
			`database "nope" does not exist`, "create the database, or name another in database.url"},
		{"no such role", at(t, good, func(u *url.URL) { u.User = url.User("nobody") }),
			`role "nobody" does not exist`, "correct the user in database.url, or allow it in the server's pg_hba.conf"},
		{"no TLS", at(t, good, func(u *url.URL) { u.RawQuery = "sslmode=require" }),
			"the server does not speak TLS", "set sslmode=disable in database.url, or switch ssl on in the server"},
		{"takes no writes", at(t, good, func(u *url.URL) { u.RawQuery = "target_session_attrs=read-write&default_transaction_read_only=on" }),
			"the server takes no writes, and target_session_attrs asks for one that does",
			"point database.url at the primary, or `ALTER DATABASE … SET default_transaction_read_only = off`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := settings(t, c.address)
			items := look(t, cfg)
			require.Len(t, items, 1, "nothing else can be looked at")
			i := requireItem(t, items, check.Fault, "connection", c.what)
			require.Equal(t, c.mend, i.Mend.String())
		})
	}
	requireMended(t, settings(t, good), "connection", fresh...)
	requireMended(t, settings(t, good+"&pool_max_conns=1&pool_max_conn_lifetime=1h"), "connection", fresh...)
}

func TestMissingDatabaseIsRefused(t *testing.T) {
	address := at(t, pgtest.Cluster(t).URL("postgres"), func(u *url.URL) { u.Path = "/nope" })
	requireRefused(t, settings(t, address), `database "nope" does not exist`, "create the database, or name another in database.url")
}

func TestUnreachableDatabaseIsWaitedFor(t *testing.T) {
	requireWaits(t, settings(t, "postgres://postgres@127.0.0.1:1/app"), "connection refused", "start the server, or correct host and port in database.url")
}

func TestReplicationIsTriedNotGuessed(t *testing.T) {
	superuser := pgtest.URL(t)
	role := pgtest.Role(t, superuser, "GRANT CREATE ON DATABASE "+database(t, superuser)+" TO %s")
	cfg := settings(t, role)
	i := requireItem(t, look(t, cfg), check.Fault, "replication connection", "may not replicate")
	requireRefused(t, cfg, "may not replicate", "ALTER ROLE", "REPLICATION")
	run(t, cfg, superuser, i.Mend.String())
	requireMended(t, cfg, "replication connection", fresh...)
	setUp(t, cfg)
	requireMended(t, cfg, "replication connection", "subscriptions")
}

func TestReplicationURLMustLeadToTheSameDatabase(t *testing.T) {
	cfg := settings(t, pgtest.URL(t))
	cfg.Database.ReplicationURL = pgtest.URL(t)
	i := requireItem(t, look(t, cfg), check.Fault, "replication connection", "leads to another database than database.url")
	require.Equal(t, "point both at the same database", i.Mend.String())
	requireRefused(t, cfg, "database.replication_url leads to another database than database.url ("+
		database(t, cfg.Database.ReplicationURL)+", not "+database(t, cfg.Database.URL)+"); point both at the same database")
	require.Zero(t, slotsNamed(t, cfg), "none is made there, to keep WAL")
	right := *cfg
	right.Database.ReplicationURL = ""
	setUp(t, &right)
	requireRefused(t, cfg, "leads to another database than database.url")
	require.Equal(t, 1, slotsNamed(t, cfg), "what is there is left alone")
	cfg.Database.ReplicationURL = cfg.Database.URL
	requireMended(t, cfg, "replication connection", "subscriptions")
}

// A slot whose scan failed would be read by nobody, and keep WAL.
func TestSlotIsDroppedWhenItsScanFails(t *testing.T) {
	cfg := settings(t, pgtest.Migrated(t))
	execute(t, cfg.Database.URL,
		`INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://192.0.3.1/hook', '{*}')`,
		`SELECT outbox.emit('user.invited', '{}')`,
		`ALTER TABLE outbox.deliveries ADD CONSTRAINT none CHECK (false)`)
	_, err := newRelay(t, cfg).Setup(t.Context())
	require.ErrorContains(t, err, "scan the outbox: ")
	require.Zero(t, slotsNamed(t, cfg))
	execute(t, cfg.Database.URL, `ALTER TABLE outbox.deliveries DROP CONSTRAINT none`)
	setUp(t, cfg)
	require.Equal(t, 1, slotsNamed(t, cfg))
}

// slotsNamed returns how many replication slots there are of the relay's name, which its database need not have.
func slotsNamed(t *testing.T, cfg *config.Config) int {
	t.Helper()
	return pgtest.Value[int](t, pgtest.Pool(t, cfg.Database.URL),
		"SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", cfg.Replication.Slot)
}

// A standby has the system identifier of its primary; a slot made there would be of no use.
func TestReplicationURLMustNotLeadToAStandby(t *testing.T) {
	t.Parallel()
	primary := pgtest.Private(t, postgres.Options{FsyncOff: true})
	standby, err := primary.Standby(t.Context(), postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	cfg := settings(t, primary.URL("postgres"))
	cfg.Database.ReplicationURL = standby.URL("postgres")
	i := requireItem(t, look(t, cfg), check.Fault, "replication connection", "it leads to a standby")
	const mend = "point database.replication_url at the primary, or add target_session_attrs=read-write and all hosts to it"
	require.Equal(t, mend, i.Mend.String())
	_, err = newRelay(t, cfg).Setup(t.Context())
	requireSays(t, "init", err, []string{"to a standby", mend})
	requireWaits(t, cfg, "to a standby", mend)
	for _, cluster := range []*postgres.Cluster{primary, standby} {
		var slots int
		require.NoError(t, pgtest.Pool(t, cluster.URL("postgres")).QueryRow(t.Context(), "SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'logical'").Scan(&slots))
		require.Zero(t, slots)
	}

	hosts := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", standby.Port(), primary.Port())
	cfg.Database.ReplicationURL = at(t, primary.URL("postgres"), func(u *url.URL) { u.Host = hosts }) + "&target_session_attrs=read-write"
	requireMended(t, cfg, "replication connection", "publication", "slot", "subscriptions")
	requireRuns(t, cfg)
	requireMended(t, cfg, "slot", "subscriptions", "failover")
}

func TestPoolerInTheWay(t *testing.T) {
	t.Parallel()
	direct := pgtest.URL(t)
	for _, c := range []struct {
		name     string
		tolerant bool // Passes over startup parameters that it does not know, as poolers can be told to.
	}{{"refuses", false}, {"passes over", true}} {
		t.Run(c.name, func(t *testing.T) {
			cfg := settings(t, startPooler(t, direct, c.tolerant))
			i := requireItem(t, look(t, cfg), check.Fault, "replication connection", "a connection pooler is in the way")
			require.Equal(t, "set database.replication_url to the server itself", i.Mend.String())
			requireRefused(t, cfg, "a connection pooler is in the way: set database.replication_url to the server itself")
			cfg.Database.ReplicationURL = direct
			requireMended(t, cfg, "replication connection", fresh...)
			setUp(t, cfg)
			requireMended(t, cfg, "replication connection", "subscriptions")
			requireRuns(t, cfg)
		})
	}
}
