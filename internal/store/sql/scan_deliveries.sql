-- The scan after a slot was made: every event without its deliveries gets them, pending. The order of commits is not
-- known here, so an event goes to the subscriptions that were made no later than itself.
INSERT INTO outbox.deliveries (
  id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, user_id, url)
SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at, clock_timestamp(), 'pending', e.type, e.tenant, e.user_id, s.url
  FROM outbox.events AS e
  JOIN outbox.subscriptions AS s
    ON s.tenant = e.tenant AND s.active AND s.created_at <= e.created_at
   AND EXISTS (SELECT FROM unnest(s.event_types) AS p
                WHERE p IN ('*', e.type) OR right(p, 2) = '.*' AND starts_with(e.type, left(p, -1)))
 WHERE NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.id = outbox.delivery_id(e.id, s.id))
ON CONFLICT (id) DO NOTHING
