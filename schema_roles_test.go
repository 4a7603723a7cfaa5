package outboxrelay_test

import (
	"database/sql"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

const (
	useSchema    = `GRANT USAGE ON SCHEMA outbox TO %s`
	insertEvents = `GRANT INSERT ON outbox.events TO %s`
)

// All ways to write an event need USAGE on the schema and INSERT on the one table, no more.
func TestAHostAppWritesEvents(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	url := pgtest.Migrated(t)
	role := pgtest.Role(t, url, useSchema, insertEvents)
	host := connect(t, role)
	own := uuid.New()

	pgtest.Execute(t, host, `INSERT INTO outbox.events (type, payload) VALUES ('defaults', '{}')`)
	pgtest.Execute(t, host, `INSERT INTO outbox.events (id, type, payload) VALUES ($1, 'own.id', '{}')`, own)
	pgtest.Execute(t, host, `INSERT INTO outbox.events (id, type, payload) VALUES ($1, 'own.id', '{}') ON CONFLICT DO NOTHING`, own)
	pgtest.Execute(t, host, `SET search_path = ''`)
	pgtest.Execute(t, host, `INSERT INTO outbox.events (type, payload) VALUES ('no.search.path', '{}')`)
	emitted := pgtest.Value[uuid.UUID](t, host, `SELECT outbox.emit('emitted', '[1]', tenant => 'acme', user_id => '42')`)
	plain := pgtest.Value[uuid.UUID](t, host, `SELECT outbox.emit('emitted.plain', '[1]', tenant => NULL)`)
	inserted, err := outbox.Insert(ctx, host, outbox.Event{Type: "inserted", Payload: `{}`})
	require.NoError(t, err)

	db, err := sql.Open("pgx", role)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	insertedSQL, err := outbox.InsertSQL(ctx, tx, outbox.Event{Type: "inserted.sql", Payload: `{}`})
	require.NoError(t, err)
	require.NoError(t, tx.Commit())

	conn := connect(t, url)
	require.Equal(t, []string{
		"defaults default <null> {}", "emitted acme 42 [1]", "emitted.plain default <null> [1]", "inserted default <null> {}",
		"inserted.sql default <null> {}", "no.search.path default <null> {}", "own.id default <null> {}",
	}, pgtest.Values[string](t, conn, `
		SELECT concat_ws(' ', type, tenant, coalesce(user_id, '<null>'), payload) COLLATE "C" FROM outbox.events
		 WHERE created_at > now() - interval '1 hour' AND created_at <= now() ORDER BY 1`))
	for typ, id := range map[string]uuid.UUID{
		"own.id": own, "emitted": emitted, "emitted.plain": plain, "inserted": inserted[0], "inserted.sql": insertedSQL[0],
	} {
		require.Equal(t, id, pgtest.Value[uuid.UUID](t, conn, `SELECT id FROM outbox.events WHERE type = $1`, typ))
	}
}

// A host app's role can neither read nor touch anything else. What package outbox tests as well is left out here.
func TestAHostAppDoesNothingElse(t *testing.T) {
	t.Parallel()

	host := connect(t, pgtest.Role(t, pgtest.Migrated(t), useSchema, insertEvents))
	for _, statement := range []string{
		`INSERT INTO outbox.events (type, payload) VALUES ('a', '{}') RETURNING 1, type`,
		`INSERT INTO outbox.events (id, type, payload) VALUES (outbox.uuid7(), 'a', '{}') ON CONFLICT (id) DO UPDATE SET type = 'b'`,
		`TRUNCATE outbox.events`,
		`INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, url)
		 VALUES (outbox.uuid7(), outbox.uuid7(), outbox.uuid7(), now(), 'accepted', 'a', 'default', '')`,
		`UPDATE outbox.deliveries SET status = 'accepted'`,
		`DELETE FROM outbox.deliveries`,
		`INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms) VALUES (outbox.uuid7(), 1, now(), 1)`,
		`DELETE FROM outbox.attempts`,
		`INSERT INTO outbox.subscription_changes (subscription_id) VALUES (outbox.uuid7())`,
		`SELECT FROM outbox.subscription_changes`,
		`INSERT INTO outbox.relay_state VALUES ('relay', '', 0, 0, '0/0', '0/0')`,
		`SELECT FROM outbox.relay_state`,
		`UPDATE outbox.relay_home SET database_oid = 0`,
		`INSERT INTO outbox.event_types (type, sample) VALUES ('a', '{}')`,
		`SELECT FROM outbox.event_types`,
		`DELETE FROM outbox.relays`,
		`UPDATE outbox.subscriptions SET active = false`,
		`DELETE FROM outbox.subscriptions`,
		`TRUNCATE outbox.subscriptions`,
		`CREATE TABLE outbox.mine ()`,
	} {
		_, err := host.Exec(t.Context(), statement)
		requireRefused(t, err, "42501", "", statement)
	}
}

// The function that writes the journal has its owner's rights. Nobody may tie it to a table of their own: rows of their
// making would be subscriptions to everybody's events.
func TestTheJournalCannotBeForged(t *testing.T) {
	t.Parallel()

	host := connect(t, pgtest.Role(t, pgtest.Migrated(t), useSchema, insertEvents,
		`GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON outbox.subscriptions TO %s`))
	pgtest.Execute(t, host, `CREATE TEMPORARY TABLE mine AS SELECT * FROM outbox.subscriptions`)
	_, err := host.Exec(t.Context(), `
		CREATE TRIGGER forge AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION outbox.journal_subscription()`)
	requireRefused(t, err, "42501", "")
}

// Rights on outbox.subscriptions are enough to manage subscriptions; each change is journalled for the relay.
func TestSubscriptionsInPlainSQL(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	settings := connect(t, pgtest.Role(t, url, useSchema,
		`GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON outbox.subscriptions TO %s`))
	conn := connect(t, url)
	journal := func() []string {
		found := pgtest.Values[string](t, conn, `
			SELECT concat_ws(' ', coalesce(subscription->>'name', 'gone'), subscription->>'active', commit_lsn,
			                 CASE WHEN subscription->>'id' <> subscription_id::text THEN 'of another' END)
			  FROM outbox.subscription_changes ORDER BY id`)
		pgtest.Execute(t, conn, `DELETE FROM outbox.subscription_changes`)
		return found
	}

	secret := pgtest.Value[string](t, settings, `
		INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('crm', 'https://crm.example.com/hooks', '{user.*}')
		RETURNING secret`)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, secret)
	pgtest.Execute(t, settings, `INSERT INTO outbox.subscriptions (name, url, event_types, active)
		VALUES ('erp', 'http://10.0.0.1:8080', '{*}', false), ('bi', 'https://bi.example.com', '{a,b.c,d.*}', true)`)
	require.Equal(t, []string{"crm true", "erp false", "bi true"}, journal())
	require.Equal(t, 3, pgtest.Value[int](t, settings, `SELECT count(DISTINCT secret) FROM outbox.subscriptions`))

	pgtest.Execute(t, settings, `UPDATE outbox.subscriptions SET active = true WHERE name = 'erp'`)
	pgtest.Execute(t, settings, `UPDATE outbox.subscriptions SET active = false, disabled_reason = 'because' WHERE name = 'crm'`)
	pgtest.Execute(t, settings, `UPDATE outbox.subscriptions SET id = outbox.uuid7() WHERE name = 'bi'`)
	require.Equal(t, []string{"erp true", "crm false", "gone", "bi true"}, journal())

	pgtest.Execute(t, settings, `DELETE FROM outbox.subscriptions WHERE name = 'bi'`)
	require.Equal(t, []string{"gone"}, journal())
	pgtest.Execute(t, settings, `TRUNCATE outbox.subscriptions`)
	require.Equal(t, []string{"gone", "gone"}, journal())

	// Rolled back, it never was.
	tx, err := settings.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Empty(t, journal())

	_, err = settings.Exec(t.Context(), `SELECT FROM outbox.subscription_changes`)
	requireRefused(t, err, "42501", "")
	_, err = settings.Exec(t.Context(), `INSERT INTO outbox.events (type, payload) VALUES ('a', '{}')`)
	requireRefused(t, err, "42501", "")
}

// Two triggers keep what people would forget to.
func TestTimesOfASubscription(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	state := func() string {
		return pgtest.Value[string](t, conn, `
			SELECT concat_ws(' ', CASE WHEN updated_at > created_at THEN 'updated' END,
			                 CASE WHEN disabled_at = updated_at THEN 'disabled now' WHEN disabled_at IS NOT NULL THEN 'disabled' END,
			                 disabled_reason) FROM outbox.subscriptions`)
	}
	pgtest.Execute(t, conn, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`)
	require.Empty(t, state())
	pgtest.Execute(t, conn, `UPDATE outbox.subscriptions SET active = false, disabled_reason = 'answered 410'`)
	require.Equal(t, "updated disabled now answered 410", state())
	pgtest.Execute(t, conn, `UPDATE outbox.subscriptions SET name = 'crm', updated_at = '2000-01-01'`)
	require.Equal(t, "updated disabled answered 410", state())
	pgtest.Execute(t, conn, `UPDATE outbox.subscriptions SET active = true, disabled_reason = 'no'`)
	require.Equal(t, "updated", state())
}

// Times in the journal are RFC 3339, whatever the session's time zone: before 1883 New York's had seconds.
func TestTimesInTheJournal(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	pgtest.Execute(t, conn, `SET timezone = 'America/New_York'`)
	pgtest.Execute(t, conn, `INSERT INTO outbox.subscriptions (url, event_types, previous_secret_expires_at) VALUES ('https://example.com', '{*}', '1800-01-01')`)
	require.Equal(t, "1800-01-01T04:56:02+00:00", pgtest.Value[string](t, conn, `
		SELECT subscription->>'previous_secret_expires_at' FROM outbox.subscription_changes`))
}
