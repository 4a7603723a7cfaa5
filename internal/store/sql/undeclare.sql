-- Switches off what was declared once and is not any more.
UPDATE outbox.subscriptions AS s SET active = false, declared = false, disabled_reason = 'no longer declared in relay.yaml'
 WHERE s.declared AND NOT EXISTS (
   SELECT FROM unnest($1::text[], $2::text[]) AS d(tenant, name) WHERE d.tenant = s.tenant AND d.name = s.name)
