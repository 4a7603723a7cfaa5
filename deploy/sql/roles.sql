-- Roles with no more rights than they need, for a database in which `relay init` has run.
--
--   psql -v ON_ERROR_STOP=1 -f deploy/sql/roles.sql
--
-- Run it as the owner of schema outbox, who may make roles, and again after each upgrade of the schema. The roles are groups
-- that nobody logs in as: GRANT outbox_host TO shop, and so on. docs/privileges.md says what each may do.

BEGIN;

DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['outbox_host', 'outbox_relay', 'outbox_log', 'outbox_subscriptions'] LOOP
    IF to_regrole(wanted) IS NULL THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
    END IF;
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA outbox TO outbox_host, outbox_relay, outbox_log, outbox_subscriptions;

-- Host apps: write events, and nothing else.
GRANT INSERT ON outbox.events TO outbox_host;

-- The relay. Who logs in needs the attribute REPLICATION besides, which no membership gives: ALTER ROLE … REPLICATION.
-- UPDATE of one column is what SELECT … FOR UPDATE asks for: retention locks what it removes, and changes none.
GRANT SELECT, DELETE, UPDATE (id) ON outbox.events TO outbox_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON
  outbox.subscriptions, outbox.event_types, outbox.deliveries, outbox.relay_state, outbox.relays, outbox.relay_stats,
  outbox.subscription_stats TO outbox_relay;
GRANT SELECT, INSERT, DELETE ON outbox.attempts TO outbox_relay;
GRANT SELECT, UPDATE, DELETE ON outbox.subscription_changes TO outbox_relay;
GRANT SELECT, INSERT, UPDATE ON outbox.relay_home TO outbox_relay;
GRANT SELECT ON outbox.delivery_log TO outbox_relay;

-- Readers of the log: what was sent, and how the relays do. Of subscriptions all but the secrets, and the headers, which
-- may hold some; of events no more than that they are there.
GRANT SELECT ON outbox.delivery_log, outbox.attempts, outbox.deliveries, outbox.event_types, outbox.relays,
  outbox.relay_stats, outbox.subscription_stats, outbox.relay_home TO outbox_log;
GRANT SELECT (id, tenant, name, url, event_types, active, created_at, updated_at, declared, disabled_at, disabled_reason,
  rate, concurrency, timeout) ON outbox.subscriptions TO outbox_log;
GRANT SELECT (id) ON outbox.events TO outbox_log;

-- Those who say what is sent where. They see the secrets: receivers are given them.
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox.subscriptions, outbox.event_types TO outbox_subscriptions;

COMMIT;
