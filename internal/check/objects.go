package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/store"
)

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// wantedObjects finds what is missing of schema outbox: tables, the view, functions and triggers.
const wantedObjects = `
SELECT w.what FROM (VALUES
  ('table outbox.events', to_regclass('outbox.events')::text),
  ('table outbox.subscriptions', to_regclass('outbox.subscriptions')::text),
  ('table outbox.subscription_changes', to_regclass('outbox.subscription_changes')::text),
  ('table outbox.deliveries', to_regclass('outbox.deliveries')::text),
  ('table outbox.attempts', to_regclass('outbox.attempts')::text),
  ('table outbox.event_types', to_regclass('outbox.event_types')::text),
  ('table outbox.relay_state', to_regclass('outbox.relay_state')::text),
  ('table outbox.relay_home', to_regclass('outbox.relay_home')::text),
  ('table outbox.relays', to_regclass('outbox.relays')::text),
  ('table outbox.relay_stats', to_regclass('outbox.relay_stats')::text),
  ('table outbox.subscription_stats', to_regclass('outbox.subscription_stats')::text),
  ('view outbox.delivery_log', to_regclass('outbox.delivery_log')::text),
  ('index outbox.deliveries_due_idx', to_regclass('outbox.deliveries_due_idx')::text),
  ('index outbox.deliveries_user_idx', to_regclass('outbox.deliveries_user_idx')::text),
  ('function outbox.emit', to_regproc('outbox.emit')::text),
  ('function outbox.replay', to_regproc('outbox.replay')::text),
  ('function outbox.delivery_id', to_regproc('outbox.delivery_id')::text),
  ('function outbox.uuid7', to_regproc('outbox.uuid7')::text),
  ('trigger subscriptions_journal of outbox.subscriptions',
   (SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass('outbox.subscriptions') AND tgname = 'subscriptions_journal')),
  ('trigger subscriptions_touch of outbox.subscriptions',
   (SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass('outbox.subscriptions') AND tgname = 'subscriptions_touch'))
) AS w(what, found) WHERE w.found IS NULL`

const disabledTriggers = `
SELECT tgname::text FROM pg_trigger
 WHERE tgrelid = 'outbox.subscriptions'::regclass AND tgname LIKE 'subscriptions\_%' AND tgenabled = 'D' ORDER BY 1`

// mendBySetup sets up whatever is missing.
const mendBySetup = "relay init   # or psql -f schema.sql"

// schemaObjects looks whether schema outbox is whole and of this version.
func (c *checker) schemaObjects(ctx context.Context) {
	const name = "schema"
	if there, err := c.schemaThere(ctx); err != nil || !there {
		if err != nil {
			c.broken(name, err)
		}
		return
	}
	if current, err := store.SchemaCurrent(ctx, c.db); err != nil || !current {
		if err == nil {
			err = c.otherVersion(ctx)
		}
		if err != nil {
			c.broken(name, err)
		}
		return
	}
	for _, look := range []func(context.Context) (bool, error){c.columns, c.objects, c.triggers} {
		if well, err := look(ctx); err != nil {
			c.broken(name, err)
			return
		} else if !well {
			return
		}
	}
	c.schema = true
	if later, err := store.SchemaLater(ctx, c.db); err != nil {
		c.broken(name, err)
	} else if later {
		c.warn(name, "upgrade this program, too", "schema outbox is of a later version than this program, which leaves it as it is")
	} else {
		c.ok(name, "schema outbox is in place")
	}
}

// objects looks for tables, indexes and the like. Setting up makes them, provided that no column is missing.
func (c *checker) objects(ctx context.Context) (bool, error) {
	missing, err := c.texts(ctx, wantedObjects)
	if err == nil && len(missing) > 0 {
		c.fault("schema", mendBySetup, "missing: %s", list(missing))
	}
	return len(missing) == 0, err
}

func (c *checker) triggers(ctx context.Context) (bool, error) {
	disabled, err := c.texts(ctx, disabledTriggers)
	if err == nil && len(disabled) > 0 {
		mend := "ALTER TABLE outbox.subscriptions ENABLE TRIGGER " + strings.Join(disabled, ", ENABLE TRIGGER ") + ";"
		c.fault("schema", mend, "switched off: trigger %s: changes of subscriptions would not be seen", list(disabled))
	}
	return len(disabled) == 0, err
}

// otherVersion looks whether relay run will bring the schema up to date: only its owner may.
func (c *checker) otherVersion(ctx context.Context) error {
	var owner bool
	err := c.db.QueryRow(ctx, `SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'outbox'`).Scan(&owner)
	if err != nil {
		return err
	}
	const what = "schema outbox is of another version than this program"
	if !owner {
		c.fault("schema", mendBySetup+", as the owner of schema outbox", what+", and not role %s's", c.user)
		return nil
	}
	c.warn("schema", "relay init   # relay run does it as well", what)
	missing, err := c.texts(ctx, wantedObjects)
	c.schema = err == nil && len(missing) == 0
	return err
}

// schemaThere says whether schema outbox can be looked at. Where it is not there yet, setting up is what remains to be
// done, if the role may.
func (c *checker) schemaThere(ctx context.Context) (bool, error) {
	var there, use, create bool
	err := c.db.QueryRow(ctx, `SELECT n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
		has_database_privilege(current_database(), 'CREATE')
		FROM (SELECT) AS one LEFT JOIN pg_namespace AS n ON n.nspname = 'outbox'`).Scan(&there, &use, &create)
	switch {
	case err != nil:
		return false, err
	case !there && !create:
		c.fault("schema", fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s; -- or run relay init once as the owner of the database",
			quote(c.database), quote(c.user)), "outbox is not there yet, and role %s may not make it", c.user)
	case !there:
		c.warn("schema", "relay init   # relay run does it as well", "outbox is not there yet")
	}
	return there && use, nil
}

func (c *checker) texts(ctx context.Context, sql string) ([]string, error) {
	rows, err := c.db.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func list(names []string) string {
	const most = 6
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}
