package check_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// broken is something that an operator may do to a database that is set up. $pub and $slot in sql stand for the relay's own names.
type broken struct {
	name, sql string
	status    check.Status
	item      string
	what      string
}

// requireEachMended breaks a database in one way after the other, and has each mended by what the check says.
func requireEachMended(t *testing.T, cfg *config.Config, superuser string, cases []broken) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			execute(t, superuser, strings.Split(named(cfg, c.sql), ";")...)
			i := requireItem(t, look(t, cfg), c.status, c.item, c.what)
			run(t, cfg, superuser, i.Mend.String())
			requireMended(t, cfg, c.item, "subscriptions")
		})
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	cfg := settings(t, pgtest.URL(t))
	i := requireItem(t, look(t, cfg), check.Warning, "schema", "outbox is not there yet")
	run(t, cfg, cfg.Database.URL, i.Mend.String())
	requireMended(t, cfg, "schema", "subscriptions")

	requireEachMended(t, cfg, cfg.Database.URL, []broken{
		{"another version", "COMMENT ON SCHEMA outbox IS 'Schema version 0.'", check.Warning, "schema", "of another version than this program"},
		{"an earlier version", "COMMENT ON SCHEMA outbox IS 'Schema version 1.'; DROP TABLE outbox.relay_stats", check.Warning, "schema", "of another version than this program"},
		{"index", "DROP INDEX outbox.deliveries_due_idx", check.Fault, "schema", "missing: index outbox.deliveries_due_idx"},
		{"view", "DROP VIEW outbox.delivery_log", check.Fault, "schema", "missing: view outbox.delivery_log"},
		{"function", "DROP FUNCTION outbox.replay(uuid)", check.Fault, "schema", "missing: function outbox.replay"},
		{"trigger", "DROP TRIGGER subscriptions_journal ON outbox.subscriptions", check.Fault, "schema", "missing: trigger subscriptions_journal"},
		{"trigger off", "ALTER TABLE outbox.subscriptions DISABLE TRIGGER subscriptions_journal", check.Fault, "schema", "switched off: trigger subscriptions_journal"},
		{"table", "DROP TABLE outbox.attempts CASCADE", check.Fault, "schema", "missing: table outbox.attempts"},
	})

	execute(t, cfg.Database.URL, "COMMENT ON SCHEMA outbox IS 'Schema version 99.'")
	i = requireItem(t, look(t, cfg), check.Warning, "schema", "of a later version than this program")
	require.Equal(t, "upgrade this program, too", i.Mend.String())
	report, err := newRelay(t, cfg).Setup(t.Context())
	require.NoError(t, err)
	require.Equal(t, "schema outbox is of a later version than this program, and left as it is", report.Lines[0])
}

// A column or default that somebody took away is not made by setting up: it says so, and the check has the statement.
func TestColumns(t *testing.T) {
	t.Parallel()
	cfg := settings(t, pgtest.URL(t))
	setUp(t, cfg)
	requireEachMended(t, cfg, cfg.Database.URL, []broken{
		{"column", "ALTER TABLE outbox.attempts DROP COLUMN response_body", check.Fault, "schema", "missing: column outbox.attempts.response_body"},
		{"default", "ALTER TABLE outbox.events ALTER id DROP DEFAULT", check.Fault, "schema", "missing: default of outbox.events.id"},
		{"identity", "ALTER TABLE outbox.subscription_changes ALTER id DROP IDENTITY", check.Fault, "schema",
			"missing: default of outbox.subscription_changes.id"},
		{"several", "ALTER TABLE outbox.relays DROP COLUMN state; ALTER TABLE outbox.events DROP COLUMN traceparent, ALTER tenant DROP DEFAULT",
			check.Fault, "schema", "missing: default of outbox.events.tenant, column outbox.events.traceparent, column outbox.relays.state"},
	})

	execute(t, cfg.Database.URL, "ALTER TABLE outbox.deliveries DROP COLUMN user_id CASCADE")
	_, err := newRelay(t, cfg).Setup(t.Context())
	requireSays(t, "init", err, []string{`column "user_id" of relation "outbox.deliveries" does not exist`,
		"; add it as schema.sql has it: `relay check` prints the statement"})
	i := requireItem(t, look(t, cfg), check.Fault, "schema", "missing: column outbox.deliveries.user_id")
	require.Equal(t, "ALTER TABLE outbox.deliveries ADD COLUMN user_id text; -- then relay init", i.Mend.String())
	run(t, cfg, cfg.Database.URL, i.Mend.String())
	i = requireItem(t, look(t, cfg), check.Fault, "schema", "missing: view outbox.delivery_log")
	run(t, cfg, cfg.Database.URL, i.Mend.String())
	requireMended(t, cfg, "schema", "subscriptions")
}

func TestSchemaThatTheRoleMayNotMake(t *testing.T) {
	superuser := pgtest.URL(t)
	cfg := settings(t, pgtest.Role(t, superuser, "ALTER ROLE %s REPLICATION"))
	i := requireItem(t, look(t, cfg), check.Fault, "schema", "may not make it")
	requireRefused(t, cfg, "permission denied for database", "`relay check` names each missing right")
	run(t, cfg, superuser, i.Mend.String())
	requireItem(t, look(t, cfg), check.Warning, "schema", "outbox is not there yet")
	setUp(t, cfg)
	requireMended(t, cfg, "schema", "subscriptions")
}

// A relay whose role owns nothing: the owner sets up, and grants what the check names.
func TestRights(t *testing.T) {
	t.Parallel()
	superuser := pgtest.URL(t)
	owner := settings(t, superuser)
	cfg := *owner
	cfg.Database.URL = pgtest.Role(t, superuser, "ALTER ROLE %s REPLICATION")
	setUp(t, owner)

	i := requireItem(t, look(t, &cfg), check.Fault, "rights", "USAGE ON SCHEMA outbox, UPDATE (id) ON outbox.events, SELECT, DELETE ON outbox.events")
	execute(t, superuser, "GRANT USAGE ON SCHEMA outbox TO PUBLIC")
	for _, name := range []string{"home", "subscriptions"} {
		unread := requireItem(t, look(t, &cfg), check.Fault, name, "permission denied for table")
		require.Equal(t, "run the GRANT that the item rights has", unread.Mend.String())
	}
	execute(t, superuser, "REVOKE USAGE ON SCHEMA outbox FROM PUBLIC")
	run(t, &cfg, superuser, i.Mend.String())
	requireMended(t, &cfg, "rights", "subscriptions")
	db := pgtest.Pool(t, cfg.Database.URL)
	var all bool
	require.NoError(t, db.QueryRow(t.Context(), "SELECT has_table_privilege('outbox.events', 'UPDATE')").Scan(&all))
	require.False(t, all, "no more than it needs")
	setUp(t, &cfg)
	requireRuns(t, &cfg)
	_, err := store.DeleteEvents(t.Context(), db, nil)
	require.NoError(t, err, "retention, which comes later, may do what it must")

	execute(t, superuser, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA outbox FROM PUBLIC")
	i = requireItem(t, look(t, &cfg), check.Fault, "rights", "EXECUTE ON FUNCTION outbox.uuid7()")
	require.NotContains(t, i.Mend, "outbox.emit", "no more than it needs")
	run(t, &cfg, superuser, i.Mend.String())
	requireMended(t, &cfg, "rights", "subscriptions")

	execute(t, superuser, "COMMENT ON SCHEMA outbox IS 'Schema version 1.'")
	i = requireItem(t, look(t, &cfg), check.Fault, "schema", "of another version than this program, and not role")
	require.Contains(t, i.Mend, "as the owner of schema outbox")
	setUp(t, owner)
	requireMended(t, &cfg, "schema", "subscriptions")

	execute(t, superuser, named(owner, "DROP PUBLICATION $pub"))
	i = requireItem(t, look(t, &cfg), check.Fault, "publication", "is not there yet, and role")
	run(t, &cfg, superuser, i.Mend.String())
	requireMended(t, &cfg, "publication", "subscriptions")
}

func TestPublication(t *testing.T) {
	t.Parallel()
	cfg := settings(t, pgtest.URL(t))
	setUp(t, cfg)
	execute(t, cfg.Database.URL, "CREATE TABLE other (id int PRIMARY KEY)")
	const tooLittle, filtered = "does not publish the inserts", "has a row filter or a column list"
	cases := []broken{
		{"missing", "DROP PUBLICATION $pub", check.Warning, "publication", "is not there yet"},
		{"no changes of subscriptions", "ALTER PUBLICATION $pub SET TABLE outbox.events", check.Fault, "publication", tooLittle},
		{"no events", "ALTER PUBLICATION $pub DROP TABLE outbox.events", check.Fault, "publication", tooLittle},
		{"no inserts", "ALTER PUBLICATION $pub SET (publish = 'update')", check.Fault, "publication", tooLittle},
		{"updates too", "ALTER PUBLICATION $pub SET (publish = 'insert, update')", check.Warning, "publication", "publishes more"},
		{"another table", "ALTER PUBLICATION $pub ADD TABLE other", check.Warning, "publication", "publishes more"},
	}
	if serverVersion(t) >= 150000 {
		cases = append(cases,
			broken{"row filter", "ALTER PUBLICATION $pub SET TABLE outbox.events WHERE (tenant = 'a'), outbox.subscription_changes",
				check.Fault, "publication", filtered},
			broken{"column list", "ALTER PUBLICATION $pub SET TABLE outbox.events (id, type), outbox.subscription_changes",
				check.Fault, "publication", filtered})
	}
	cases = append(cases, broken{"all tables", "DROP PUBLICATION $pub; CREATE PUBLICATION $pub FOR ALL TABLES",
		check.Warning, "publication", "publishes all tables"})
	requireEachMended(t, cfg, cfg.Database.URL, cases)

	// Setting up mends on its own whatever would lose events.
	for _, c := range cases {
		if c.status != check.Fault {
			continue
		}
		t.Run("set up: "+c.name, func(t *testing.T) {
			execute(t, cfg.Database.URL, strings.Split(named(cfg, c.sql), ";")...)
			setUp(t, cfg)
			for _, i := range look(t, cfg) {
				require.NotEqual(t, check.Fault, i.Status, "%+v", i)
			}
		})
	}
}

func TestPublicationOfAllTablesWithoutInserts(t *testing.T) {
	cfg := settings(t, pgtest.Migrated(t))
	broken := named(cfg, "CREATE PUBLICATION $pub FOR ALL TABLES WITH (publish = 'update')")
	execute(t, cfg.Database.URL, broken)
	i := requireItem(t, look(t, cfg), check.Fault, "publication", "does not publish the inserts")
	run(t, cfg, cfg.Database.URL, i.Mend.String())
	i = requireItem(t, look(t, cfg), check.Warning, "publication", "publishes all tables")
	run(t, cfg, cfg.Database.URL, i.Mend.String())
	requireMended(t, cfg, "publication", "slot", "subscriptions")

	execute(t, cfg.Database.URL, named(cfg, "DROP PUBLICATION $pub"), broken)
	setUp(t, cfg)
	requireItem(t, look(t, cfg), check.Warning, "publication", "publishes all tables")
}

func TestSlot(t *testing.T) {
	cfg := settings(t, pgtest.Migrated(t))
	i := requireItem(t, look(t, cfg), check.Warning, "slot", "is not there yet")
	run(t, cfg, cfg.Database.URL, i.Mend.String())
	requireMended(t, cfg, "slot", "subscriptions")
}

func TestSlotOfSomethingElse(t *testing.T) {
	t.Parallel()
	address, other := pgtest.URL(t), pgtest.URL(t)
	for _, c := range []struct{ name, address, sql, what string }{
		{"physical", address, "SELECT pg_create_physical_replication_slot('$slot')", "it is a physical slot, such as a standby's"},
		{"another database's", other, "SELECT pg_create_logical_replication_slot('$slot', 'pgoutput')",
			`plugin "pgoutput", database "` + database(t, other) + `"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := settings(t, address)
			execute(t, c.address, named(cfg, c.sql))
			i := requireItem(t, look(t, cfg), check.Fault, "slot", "belongs to something else ("+c.what+")")
			requireRefused(t, cfg, "belongs to something else ("+c.what+")", "set replication.slot to a name of its own")

			setting, drop, both := strings.Cut(i.Mend.String(), "; or, if nobody needs that slot: ")
			require.True(t, both)
			require.Equal(t, "set replication.slot to a name of its own", setting)
			own := *cfg
			own.Replication.Slot += "_own"
			requireItem(t, look(t, &own), check.Warning, "slot", "is not there yet")
			run(t, cfg, c.address, drop)
			requireItem(t, look(t, cfg), check.Warning, "slot", "is not there yet")
		})
	}
}

// named puts the relay's own names into a statement.
func named(cfg *config.Config, sql string) string {
	return strings.NewReplacer("$pub", cfg.Replication.Publication, "$slot", cfg.Replication.Slot).Replace(sql)
}

func serverVersion(t *testing.T) (number int) {
	t.Helper()
	err := pgtest.Pool(t, pgtest.Cluster(t).URL("postgres")).QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int").Scan(&number)
	require.NoError(t, err)
	return number
}
