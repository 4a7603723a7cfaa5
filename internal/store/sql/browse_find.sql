-- What an id is the id of: delivery, event or subscription; and when the event happened.
SELECT kind, at FROM (
  SELECT 1 AS n, 'delivery' AS kind, d.event_created_at AS at FROM outbox.deliveries AS d
   WHERE d.id = $3 AND ($1::boolean OR d.tenant = $2)
  UNION ALL
  SELECT 2, 'event', e.created_at FROM outbox.events AS e WHERE e.id = $3 AND ($1::boolean OR e.tenant = $2)
  UNION ALL
  SELECT 3, 'subscription', s.created_at FROM outbox.subscriptions AS s WHERE s.id = $3 AND ($1::boolean OR s.tenant = $2)
) AS found
 ORDER BY n
 LIMIT 1
