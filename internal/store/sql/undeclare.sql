-- Switches off what was declared once and is not any more. RETURNING says which, and whether it was on.
UPDATE outbox.subscriptions AS s SET active = false, declared = false, disabled_reason = 'no longer declared in relay.yaml'
  FROM (SELECT id, active FROM outbox.subscriptions WHERE declared FOR UPDATE) AS old
 WHERE old.id = s.id AND NOT EXISTS (
   SELECT FROM unnest($1::text[], $2::text[]) AS d(tenant, name) WHERE d.tenant = s.tenant AND d.name = s.name)
RETURNING s.tenant, coalesce(s.name, s.id::text), old.active
