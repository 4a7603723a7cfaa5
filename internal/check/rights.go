package check

import (
	"context"
	"strings"
)

// wantedRights finds what the role lacks for what the relay and its commands do. Of tables that are missing it says
// nothing.
const wantedRights = `
SELECT 'USAGE ON SCHEMA outbox' FROM pg_namespace WHERE nspname = 'outbox' AND NOT has_schema_privilege(oid, 'USAGE')
UNION ALL
SELECT 'UPDATE (id) ON outbox.events' -- what retention removes it locks first: that asks for UPDATE of any one column
  FROM pg_class WHERE relname = 'events' AND relnamespace = to_regnamespace('outbox') AND NOT has_any_column_privilege(oid, 'UPDATE')
UNION ALL
SELECT format('EXECUTE ON FUNCTION outbox.%I(%s)', proname, pg_get_function_identity_arguments(oid))
  FROM pg_proc
 WHERE pronamespace = to_regnamespace('outbox') AND prorettype <> 'trigger'::regtype AND proname <> 'emit'
   AND NOT has_function_privilege(oid, 'EXECUTE')
UNION ALL
SELECT w.rights || ' ON outbox.' || w.name
  FROM (VALUES
    ('events', 'SELECT, DELETE'),
    ('subscriptions', 'SELECT, INSERT, UPDATE, DELETE'),
    ('subscription_changes', 'SELECT, UPDATE, DELETE'),
    ('deliveries', 'SELECT, INSERT, UPDATE, DELETE'),
    ('attempts', 'SELECT, INSERT, DELETE'),
    ('event_types', 'SELECT, INSERT, UPDATE, DELETE'),
    ('relay_state', 'SELECT, INSERT, UPDATE, DELETE'),
    ('relay_home', 'SELECT, INSERT, UPDATE'),
    ('relays', 'SELECT, INSERT, UPDATE, DELETE'),
    ('relay_stats', 'SELECT, INSERT, UPDATE, DELETE'),
    ('subscription_stats', 'SELECT, INSERT, UPDATE, DELETE'),
    ('delivery_log', 'SELECT')) AS w(name, rights)
  JOIN pg_class AS c ON c.relname = w.name AND c.relnamespace = to_regnamespace('outbox')
 WHERE NOT (SELECT bool_and(has_table_privilege(c.oid, trim(r))) FROM unnest(string_to_array(w.rights, ',')) AS r)`

// rights looks whether the role may do what the relay does with its tables, and call what their defaults and checks call.
func (c *checker) rights(ctx context.Context) {
	missing, err := c.texts(ctx, wantedRights)
	switch {
	case err != nil:
		c.broken("rights", err)
	case len(missing) > 0:
		to := " TO " + quote(c.user) + "; "
		c.fault("rights", "GRANT "+strings.Join(missing, to+"GRANT ")+to+"-- as the owner of schema outbox",
			"role %s lacks %s", c.user, strings.Join(missing, ", "))
	case c.schema:
		c.ok("rights", "role %s may read and write the tables", c.user)
	}
}
