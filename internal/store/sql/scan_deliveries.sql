-- The scan after a slot was made: every event without its deliveries gets them, pending. The order of commits is not
-- known here, so an event goes to the subscriptions that were made no later than itself.
-- There are far fewer tenants and types than events: subscriptions are matched once for each, not for each event.
WITH kind AS MATERIALIZED (
  SELECT DISTINCT tenant, type FROM outbox.events
), wanted AS MATERIALIZED (
  SELECT DISTINCT s.id, s.tenant, p.pattern
    FROM outbox.subscriptions AS s, unnest(s.event_types) AS p(pattern)
   WHERE s.active
), matched AS MATERIALIZED (
  -- The patterns that take a type: itself, everything, and everything under each name that it begins with.
  SELECT DISTINCT k.tenant, k.type, w.id AS subscription_id
    FROM kind AS k
   CROSS JOIN LATERAL (
           SELECT k.type UNION ALL SELECT '*' UNION ALL
           SELECT array_to_string(names[:n], '.') || '.*'
             FROM string_to_array(k.type, '.') AS names, generate_series(1, cardinality(names) - 1) AS n
         ) AS p(pattern)
    JOIN wanted AS w ON w.tenant = k.tenant AND w.pattern = p.pattern
)
INSERT INTO outbox.deliveries (
  id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, user_id, url)
SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at, clock_timestamp(), 'pending', e.type, e.tenant, e.user_id, s.url
  FROM matched AS m
  JOIN outbox.events AS e ON e.tenant = m.tenant AND e.type = m.type
  JOIN outbox.subscriptions AS s ON s.id = m.subscription_id AND s.created_at <= e.created_at
 WHERE NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.id = outbox.delivery_id(e.id, s.id))
ON CONFLICT (id) DO NOTHING
