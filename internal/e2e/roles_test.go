package e2e

import (
	"context"
	"net/http"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// roled is a database that its owner has set up, with a login for each group of deploy/sql/roles.sql.
type roled struct {
	super                           *pgxpool.Pool
	slot                            string
	relay, host, log, subscriptions string // Addresses.
}

func newRoled(t *testing.T) *roled {
	t.Helper()
	address, slot := pgtest.URL(t), pgtest.Slot(t)
	super := pgtest.Pool(t, address)
	database := pgx.Identifier{pgtest.Value[string](t, super, `SELECT current_database()`)}.Sanitize()
	owner := pgtest.Role(t, address, "ALTER ROLE %s REPLICATION CREATEROLE", "GRANT CREATE ON DATABASE "+database+" TO %s")
	out, code := command(t, naming(owner, slot), "init")
	require.Zero(t, code, out)
	script, err := os.ReadFile("../../deploy/sql/roles.sql")
	require.NoError(t, err)
	for range 2 { // It may be run again.
		conn, err := pgx.Connect(t.Context(), owner)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), string(script), pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
	member := func(of string, more ...string) string {
		return pgtest.Role(t, address, append([]string{"GRANT " + of + " TO %s"}, more...)...)
	}
	return &roled{
		super: super, slot: slot, host: member("outbox_host"), log: member("outbox_log"),
		subscriptions: member("outbox_subscriptions"), relay: member("outbox_relay", "ALTER ROLE %s REPLICATION"),
	}
}

// naming is the environment of a command.
func naming(address, slot string) []string {
	return []string{"RELAY_DATABASE_URL=" + address, "RELAY_REPLICATION_SLOT=" + slot, "RELAY_REPLICATION_PUBLICATION=" + slot}
}

// allowed runs statements as a role; denied expects that each is refused for want of a right.
func allowed(t *testing.T, address string, statements ...string) {
	t.Helper()
	db := pgtest.Pool(t, address)
	for _, sql := range statements {
		pgtest.Execute(t, db, sql)
	}
}

func denied(t *testing.T, address string, statements ...string) {
	t.Helper()
	db := pgtest.Pool(t, address)
	for _, sql := range statements {
		_, err := db.Exec(context.Background(), sql)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, sql)
		require.Equal(t, "42501", pg.Code, sql)
	}
}

// With the role of the relay alone: it runs, declares, delivers, retries, switches off, writes statistics, makes a lost
// slot anew, removes what is old, and its commands work.
func TestTheRelaysRoleIsEnough(t *testing.T) {
	d := newRoled(t)
	r, gone, dead := receiver.New(t, nil), receiver.New(t, nil), receiver.New(t, nil)
	gone.SetStatus(410)
	dead.Down()
	settings := append(naming(d.relay, d.slot), "RELAY_RETENTION=1h", "RELAY_DELIVERY_DISABLE_ON=410",
		"RELAY_DELIVERY_RETRY_BASE=200ms", "RELAY_DELIVERY_RETRY_UNIT=0s",
		`RELAY_EVENT_TYPES=[{type: user.invited, sample: '{"n": 1}'}]`,
		`RELAY_SUBSCRIPTIONS=[{name: crm, url: '`+r.URL()+`', event_types: ['*']}, {name: gone, url: '`+gone.URL()+
			`', event_types: [last]}, {name: dead, url: '`+dead.URL()+`', event_types: [user.invited]}]`)
	leader := start(t, d.relay, d.slot, settings...)
	standby := start(t, d.relay, d.slot, settings...)
	allowed(t, d.host, `SELECT outbox.emit('user.invited', '{}')`, `INSERT INTO outbox.events (type, payload) VALUES ('plain', '1')`)
	await(t, "delivered", func() bool { return r.Len() == 2 })
	await(t, "tried again", func() bool {
		return pgtest.Value[int](t, d.super, `SELECT count(*) FROM outbox.attempts WHERE attempt > 1`) > 0
	})
	dead.Up()
	await(t, "a retry is accepted", func() bool {
		return pgtest.Value[int](t, d.super, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted' AND attempts > 1`) == 1
	})
	await(t, "heartbeats and statistics", func() bool {
		return pgtest.Value[bool](t, d.super, `SELECT (SELECT count(*) FROM outbox.relays) = 2 AND
			(SELECT sum(accepted) FROM outbox.relay_stats) >= 3 AND (SELECT count(*) FROM outbox.subscription_stats) > 0`)
	})

	leader.stop()
	await(t, "take-over", standby.ready)
	standby.stop()
	pgtest.Execute(t, d.super, `SELECT pg_drop_replication_slot($1)`, d.slot)
	allowed(t, d.host, `SELECT outbox.emit('last', '1')`,
		`INSERT INTO outbox.events (type, payload, created_at) VALUES ('old', '1', now() - interval '2 hours')`)
	relay := start(t, d.relay, d.slot, settings...)
	require.Contains(t, relay.log.String(), "making it anew")
	await(t, "what was missed", func() bool { return gone.Len() == 1 && r.Len() == 3 })
	await(t, "switched off for its answer", func() bool {
		return !pgtest.Value[bool](t, d.super, `SELECT active FROM outbox.subscriptions WHERE name = 'gone'`)
	})
	await(t, "what is old is removed", func() bool {
		return pgtest.Value[int](t, d.super, `SELECT count(*) FROM outbox.events WHERE type = 'old'`) == 0
	})

	delivery := pgtest.Value[string](t, d.super, `SELECT delivery_id::text FROM outbox.delivery_log WHERE event_type = 'plain'`)
	for _, arg := range [][]string{
		{"init"}, {"check"}, {"status"}, {"log"}, {"show", delivery}, {"replay", delivery}, {"subscriptions", "list"},
		{"subscriptions", "rotate", "crm"}, {"test", "crm"}, {"docs"},
	} {
		out, code := command(t, append(settings, "RELAY_NETWORK_ALLOW=127.0.0.0/8"), arg...)
		require.Zero(t, code, "relay %v: %s", arg, out)
	}
	subscription := pgtest.Value[string](t, d.super, `SELECT id::text FROM outbox.subscriptions WHERE name = 'crm'`)
	for _, page := range []string{"/", "/webhooks/" + subscription, "/docs", "/log", "/log/rows", "/deliveries/" + delivery,
		"/deliveries/" + delivery + "/payload", "/users/u1", "/overview", "/overview/live"} {
		response, err := http.Get("http://" + relay.listen + page)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, page)
	}
	require.NotContains(t, relay.log.String(), "permission denied")
	denied(t, d.relay, `CREATE TABLE outbox.mine ()`, `UPDATE outbox.events SET payload = '1'`, `DROP TABLE outbox.events`,
		`INSERT INTO outbox.events (type, payload) VALUES ('a', '1')`)
}

func TestTheHostsRoleWritesEventsAlone(t *testing.T) {
	d := newRoled(t)
	allowed(t, d.host, `SELECT outbox.emit('a', '1', 'u1')`, `INSERT INTO outbox.events (type, payload) VALUES ('a', '1')`)
	denied(t, d.host, `SELECT id FROM outbox.events`, `DELETE FROM outbox.events`, `UPDATE outbox.events SET payload = '1'`,
		`SELECT FROM outbox.delivery_log`, `SELECT FROM outbox.subscriptions`, `SELECT FROM outbox.attempts`,
		`SELECT outbox.replay(gen_random_uuid())`)
}

func TestTheLogsRoleSeesNoSecrets(t *testing.T) {
	d := newRoled(t)
	r := receiver.New(t, nil)
	out, code := command(t, naming(d.log, d.slot), "log")
	require.Zero(t, code, out)
	pgtest.Execute(t, d.super, `INSERT INTO outbox.subscriptions (name, url, event_types, headers) VALUES ('crm', $1, '{*}', '{"x": "hidden"}')`, r.URL())
	pgtest.Execute(t, d.super, `INSERT INTO outbox.event_types (type, sample) VALUES ('user.invited', '1')`)
	start(t, d.relay, d.slot)
	allowed(t, d.host, `SELECT outbox.emit('a', '1', 'u1')`)
	delivery := ""
	await(t, "logged", func() bool {
		delivery = pgtest.Value[string](t, d.super, `SELECT coalesce(max(delivery_id::text), '') FROM outbox.delivery_log`)
		return delivery != ""
	})
	for want, arg := range map[string][]string{
		delivery: {"log", "--user", "u1"}, "(crm)": {"show", delivery}, d.slot: {"status"}, "user.invited": {"docs"},
	} {
		out, code := command(t, naming(d.log, d.slot), arg...)
		require.Zero(t, code, "relay %v: %s", arg, out)
		require.Contains(t, out, want)
	}
	allowed(t, d.log, `SELECT * FROM outbox.delivery_log WHERE user_id = 'u1'`, `SELECT * FROM outbox.attempts`)
	denied(t, d.log, `SELECT secret FROM outbox.subscriptions`, `SELECT previous_secret FROM outbox.subscriptions`,
		`SELECT headers FROM outbox.subscriptions`, `SELECT * FROM outbox.subscriptions`, `SELECT FROM outbox.subscription_changes`,
		`SELECT payload FROM outbox.events`, `SELECT FROM outbox.relay_state`, `DELETE FROM outbox.attempts`,
		`UPDATE outbox.deliveries SET status = 'failed'`, `INSERT INTO outbox.events (type, payload) VALUES ('a', '1')`,
		`SELECT outbox.replay('`+delivery+`')`)
}

func TestTheSubscriptionsRoleSaysWhatIsSentWhere(t *testing.T) {
	d := newRoled(t)
	r := receiver.New(t, nil)
	start(t, d.relay, d.slot)
	for _, arg := range [][]string{
		{"subscriptions", "add", "--name", "crm", "--url", r.URL(), "--event-types", "*"}, {"subscriptions", "list"},
		{"subscriptions", "rotate", "crm"}, {"subscriptions", "set", "crm", "--rate", "100"}, {"test", "crm"},
		{"subscriptions", "disable", "crm"}, {"subscriptions", "enable", "crm"},
	} {
		out, code := command(t, append(naming(d.subscriptions, d.slot), "RELAY_NETWORK_ALLOW=127.0.0.0/8"), arg...)
		require.Zero(t, code, "relay %v: %s", arg, out)
	}
	allowed(t, d.host, `SELECT outbox.emit('a', '1')`)
	await(t, "delivered", func() bool { return r.Len() == 2 })
	allowed(t, d.subscriptions, `DELETE FROM outbox.subscriptions`)
	denied(t, d.subscriptions, `SELECT FROM outbox.delivery_log`, `SELECT FROM outbox.events`, `SELECT FROM outbox.subscription_changes`,
		`INSERT INTO outbox.events (type, payload) VALUES ('a', '1')`)
}
