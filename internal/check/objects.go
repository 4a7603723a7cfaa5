package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/store"
)

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// wantedObjects finds what is missing of schema outbox: tables and their columns, the view, functions and triggers.
const wantedObjects = `
SELECT w.what FROM (VALUES
  ('table outbox.events', to_regclass('outbox.events')::text),
  ('table outbox.subscriptions', to_regclass('outbox.subscriptions')::text),
  ('table outbox.subscription_changes', to_regclass('outbox.subscription_changes')::text),
  ('table outbox.deliveries', to_regclass('outbox.deliveries')::text),
  ('table outbox.attempts', to_regclass('outbox.attempts')::text),
  ('table outbox.relay_state', to_regclass('outbox.relay_state')::text),
  ('view outbox.delivery_log', to_regclass('outbox.delivery_log')::text),
  ('index outbox.deliveries_due_idx', to_regclass('outbox.deliveries_due_idx')::text),
  ('index outbox.deliveries_user_idx', to_regclass('outbox.deliveries_user_idx')::text),
  ('function outbox.emit', to_regproc('outbox.emit')::text),
  ('function outbox.replay', to_regproc('outbox.replay')::text),
  ('function outbox.delivery_id', to_regproc('outbox.delivery_id')::text),
  ('function outbox.uuid7', to_regproc('outbox.uuid7')::text),
  ('trigger subscriptions_journal of outbox.subscriptions',
   (SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass('outbox.subscriptions') AND tgname = 'subscriptions_journal' AND tgenabled <> 'D')),
  ('trigger subscriptions_touch of outbox.subscriptions',
   (SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass('outbox.subscriptions') AND tgname = 'subscriptions_touch' AND tgenabled <> 'D'))
) AS w(what, found) WHERE w.found IS NULL
UNION ALL
SELECT 'column ' || c.name || ' of outbox.events' FROM unnest('{id,type,tenant,user_id,payload,created_at}'::text[]) AS c(name)
 WHERE to_regclass('outbox.events') IS NOT NULL
   AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('outbox.events') AND attname = c.name AND NOT attisdropped)`

// schemaObjects looks whether schema outbox is whole and of this version.
func (c *checker) schemaObjects(ctx context.Context) {
	const name, mend = "schema", "relay init (or psql -f schema.sql)"
	rows, err := c.db.Query(ctx, wantedObjects)
	if err != nil {
		c.broken(name, err)
		return
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.broken(name, err)
		return
	}
	if len(missing) > 6 {
		missing = append(missing[:6], fmt.Sprintf("and %d more", len(missing)-6))
	}
	if len(missing) > 0 {
		c.fault(name, mend, "missing: %s", strings.Join(missing, ", "))
		return
	}
	c.schema = true
	current, err := store.SchemaCurrent(ctx, c.db)
	switch {
	case err != nil:
		c.broken(name, err)
	case !current:
		c.warn(name, mend, "schema outbox is of another version than this program")
	default:
		c.ok(name, "schema outbox is in place")
	}
}

// rights looks whether the role may do what the relay does with its tables.
func (c *checker) rights(ctx context.Context) {
	if !c.schema {
		return
	}
	rows, err := c.db.Query(ctx, `SELECT w.rights || ' on ' || w.name FROM (VALUES
		('outbox.events', 'SELECT, DELETE'), ('outbox.subscriptions', 'SELECT, INSERT, UPDATE'),
		('outbox.subscription_changes', 'SELECT, UPDATE, DELETE'), ('outbox.deliveries', 'SELECT, INSERT, UPDATE, DELETE'),
		('outbox.attempts', 'SELECT, INSERT, DELETE'), ('outbox.relay_state', 'SELECT, INSERT, UPDATE, DELETE')) AS w(name, rights)
		WHERE NOT (SELECT bool_and(has_table_privilege(w.name, trim(r))) FROM unnest(string_to_array(w.rights, ',')) AS r)`)
	if err != nil {
		c.broken("rights", err)
		return
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		c.broken("rights", err)
	case len(missing) > 0:
		c.fault("rights", "as the owner: GRANT "+strings.Join(missing, " TO "+quote(c.db.Config().User)+"; GRANT ")+" TO "+quote(c.db.Config().User)+";",
			"role %s lacks %s", c.db.Config().User, strings.Join(missing, ", "))
	default:
		c.ok("rights", "role %s may read and write the tables", c.db.Config().User)
	}
}

// publication looks whether it is there and publishes whole rows of what the relay reads.
func (c *checker) publication(ctx context.Context) {
	if !c.schema {
		return
	}
	name := c.cfg.Replication.Publication
	p, err := store.FindPublication(ctx, c.db, name)
	if err != nil {
		c.broken("publication", err)
		return
	}
	if p == nil {
		c.warn("publication", store.CreatePublicationSQL(name)+"; (relay run and relay init do it)", "%s is not there yet", name)
		return
	}
	tables := " " + strings.Join(p.Relations, " ") + " "
	repair := strings.Join(store.RepairPublicationSQL(name), "; ") + ";"
	switch {
	case !strings.Contains(tables, " events ") || !strings.Contains(tables, " subscription_changes ") || !p.Inserts:
		c.fault("publication", repair, "%s does not publish the inserts of outbox.events and outbox.subscription_changes", name)
	case c.filtered(ctx, name):
		c.fault("publication", repair, "%s has a row filter or a column list: events would be missing", name)
	case p.Others:
		c.warn("publication", repair, "%s publishes more than inserts, which the relay reads for nothing", name)
	default:
		c.ok("publication", "%s publishes what it must", name)
	}
}

// filtered says whether the publication leaves rows or columns out, which PostgreSQL 15 and later can.
func (c *checker) filtered(ctx context.Context, name string) bool {
	if c.version < 150000 {
		return false
	}
	var filtered bool
	err := c.db.QueryRow(ctx, `SELECT coalesce(bool_or(r.prqual IS NOT NULL OR r.prattrs IS NOT NULL), false)
		FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid WHERE p.pubname = $1`, name).Scan(&filtered)
	return err == nil && filtered
}

// muchLag is the WAL behind the slot that is worth a warning: a gibibyte.
const muchLag = 1 << 30

// slot looks at the replication slot, if it is there.
func (c *checker) slot(ctx context.Context) {
	name := c.cfg.Replication.Slot
	s, err := store.FindSlot(ctx, c.db, name)
	if err != nil {
		c.broken("slot", err)
		return
	}
	switch {
	case s == nil:
		c.warn("slot", "relay init (relay run does it as well)", "%s is not there yet", name)
	case s.Plugin != "pgoutput" || s.Database != c.database:
		c.fault("slot", "set replication.slot to a name of its own, or drop it: SELECT pg_drop_replication_slot('"+name+"');",
			"%s belongs to something else (plugin %q, database %q)", name, s.Plugin, s.Database)
	case s.WALStatus == "lost":
		c.warn("slot", "nothing: relay run makes it anew and scans the outbox, so nothing is lost; raise max_slot_wal_keep_size",
			"%s was invalidated by the server", name)
	case s.LagBytes > muchLag:
		c.warn("slot", "see whether a relay runs; relay log --status pending shows what waits", "%s is %d MiB behind", name, s.LagBytes>>20)
	case s.Active:
		c.ok("slot", "%s is read by a relay (process %d of the server), %d KiB behind", name, s.ActivePID, s.LagBytes>>10)
	default:
		c.ok("slot", "%s is in place, no relay reads it, %d KiB behind", name, s.LagBytes>>10)
	}
}

// retainedWAL looks at settings that take a slot away from a relay that is down for long.
func (c *checker) retainedWAL(ctx context.Context) {
	var keep, idle string
	err := c.db.QueryRow(ctx, `SELECT current_setting('max_slot_wal_keep_size'),
		coalesce(current_setting('idle_replication_slot_timeout', true), '0')`).Scan(&keep, &idle)
	if err != nil {
		c.broken("retained WAL", err)
		return
	}
	switch {
	case idle != "0":
		c.warn("retained WAL", "ALTER SYSTEM SET idle_replication_slot_timeout = 0; or keep relays from being down for so long",
			"the server drops slots that are idle for %s; events are not lost, but the outbox is scanned anew", idle)
	case keep == "-1":
		c.ok("retained WAL", "without a limit: a relay that is down for long fills the server's disk (max_slot_wal_keep_size)")
	default:
		c.ok("retained WAL", "up to %s (max_slot_wal_keep_size)", keep)
	}
}
