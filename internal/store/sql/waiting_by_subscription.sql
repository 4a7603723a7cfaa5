-- What waits to be sent, by active subscription, and the events whose deliveries a scan would still make for it.
WITH unscanned AS (
  SELECT s.id, count(*) AS n
    FROM outbox.events AS e
    JOIN outbox.subscriptions AS s
      ON s.tenant = e.tenant AND s.active AND s.created_at <= e.created_at
     AND EXISTS (SELECT FROM unnest(s.event_types) AS p
                  WHERE p IN ('*', e.type) OR right(p, 2) = '.*' AND starts_with(e.type, left(p, -1)))
   WHERE NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.id = outbox.delivery_id(e.id, s.id))
   GROUP BY s.id
), waiting AS (
  SELECT subscription_id AS id, count(*) AS n FROM outbox.deliveries WHERE due_at IS NOT NULL GROUP BY subscription_id
)
SELECT s.url, coalesce(w.n, 0) + coalesce(u.n, 0)
  FROM outbox.subscriptions AS s
  LEFT JOIN waiting AS w ON w.id = s.id
  LEFT JOIN unscanned AS u ON u.id = s.id
 WHERE s.active
 ORDER BY 2 DESC, s.url
