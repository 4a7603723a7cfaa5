package outboxrelay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestEverythingHasAComment(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	objects := pgtest.Values[string](t, conn, `
		SELECT concat_ws(': ', pg_describe_object(classid, id, sub), coalesce(btrim(comment), '')) FROM (
		  SELECT 'pg_class'::regclass, oid, 0, obj_description(oid, 'pg_class')
		    FROM pg_class WHERE relnamespace = 'outbox'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
		  UNION ALL
		  SELECT 'pg_class'::regclass, c.oid, a.attnum, col_description(c.oid, a.attnum)
		    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		   WHERE c.relnamespace = 'outbox'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
		  UNION ALL
		  SELECT 'pg_proc'::regclass, oid, 0, obj_description(oid, 'pg_proc')
		    FROM pg_proc WHERE pronamespace = 'outbox'::regnamespace
		  UNION ALL
		  SELECT 'pg_namespace'::regclass, 'outbox'::regnamespace, 0, obj_description('outbox'::regnamespace, 'pg_namespace')
		) AS object(classid, id, sub, comment)`)
	require.Greater(t, len(objects), 80)
	for _, object := range objects {
		require.Regexp(t, `: .`, object)
	}
}

// Errors name constraints, and plans name indexes: both are for people to read, so none has a generated name.
func TestConstraintsAndIndexes(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	require.Equal(t, []string{
		"attempts_error_class_check", "attempts_pkey",
		"deliveries_due_check", "deliveries_pkey", "deliveries_status_check",
		"event_types_pkey", "event_types_type_check",
		"events_created_at_check", "events_pkey", "events_tenant_check", "events_type_check", "events_user_id_check",
		"relay_home_pkey", "relay_home_single_check", "relay_state_pkey", "relay_stats_pkey", "relays_pkey",
		"subscription_changes_pkey", "subscription_stats_pkey",
		"subscriptions_concurrency_check", "subscriptions_event_types_check", "subscriptions_headers_check", "subscriptions_name_check",
		"subscriptions_name_key", "subscriptions_pkey", "subscriptions_previous_secret_check", "subscriptions_rate_check",
		"subscriptions_secret_check", "subscriptions_tenant_check", "subscriptions_timeout_check", "subscriptions_times_check", "subscriptions_url_check",
	}, pgtest.Values[string](t, conn, `
		SELECT conname::text COLLATE "C" FROM pg_constraint
		 WHERE connamespace = 'outbox'::regnamespace AND contype <> 'n' -- NOT NULL has a name from PostgreSQL 18 on
		 ORDER BY 1`))
	require.Equal(t, []string{
		"attempts_pkey",
		"deliveries_due_idx", "deliveries_log_idx", "deliveries_not_accepted_idx", "deliveries_pkey", "deliveries_replay_of_idx",
		"deliveries_subscription_idx", "deliveries_tenant_idx",
		"deliveries_unfinished_event_idx", "deliveries_user_idx",
		"event_types_pkey", "events_created_at_idx", "events_pkey",
		"relay_home_pkey", "relay_state_pkey", "relay_stats_pkey", "relays_pkey",
		"subscription_changes_pkey", "subscription_changes_unread_idx", "subscription_stats_pkey",
		"subscriptions_name_key", "subscriptions_pkey",
	}, pgtest.Values[string](t, conn, `
		SELECT relname::text COLLATE "C" FROM pg_class
		 WHERE relnamespace = 'outbox'::regnamespace AND relkind = 'i' ORDER BY 1`))
}

// What people may query: columns are only ever added, at the end.
func TestColumnsOfTheContract(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	for relation, columns := range map[string][]string{
		"delivery_log": {
			"delivery_id uuid", "event_id uuid", "event_type text", "tenant text", "user_id text", "subscription_id uuid",
			"url text", "status text", "attempts integer", "response_code integer", "error text",
			"created_at timestamp with time zone", "last_attempt_at timestamp with time zone",
			"next_attempt_at timestamp with time zone", "finished_at timestamp with time zone", "payload json",
		},
		"events": {
			"id uuid", "type text", "tenant text", "user_id text", "payload json", "created_at timestamp with time zone",
		},
		"subscriptions": {
			"id uuid", "tenant text", "name text", "url text", "event_types text[]", "secret text", "headers json",
			"active boolean", "created_at timestamp with time zone", "updated_at timestamp with time zone",
		},
	} {
		is := pgtest.Values[string](t, conn, `
			SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
			 WHERE attrelid = to_regclass('outbox.' || $1) AND attnum > 0 ORDER BY attnum`, relation)
		require.Equal(t, columns, is[:len(columns)], relation)
	}
	require.Subset(t, pgtest.Values[string](t, conn, `
		SELECT attname::text FROM pg_attribute WHERE attrelid = 'outbox.attempts'::regclass AND attnum > 0`),
		[]string{"delivery_id", "attempt", "started_at", "duration_ms", "response_code", "error_class", "error", "response_body"})
	require.Equal(t, []string{
		"emit(type text, payload json, user_id text DEFAULT NULL::text, tenant text DEFAULT 'default'::text) uuid",
		"replay(delivery_id uuid) uuid",
	}, pgtest.Values[string](t, conn, `
		SELECT proname || '(' || pg_get_function_arguments(oid) || ') ' || pg_get_function_result(oid) FROM pg_proc
		 WHERE pronamespace = 'outbox'::regnamespace AND proname IN ('emit', 'replay') ORDER BY 1`))
}
