-- New deliveries of the same events. One statement: all or none.
WITH made AS MATERIALIZED (
  SELECT w.n, w.id AS replay_of, outbox.replay(w.id) AS id
    FROM unnest($1::uuid[]) WITH ORDINALITY AS w(id, n)
)
SELECT m.id, m.replay_of, d.subscription_id, coalesce(s.active, false)
  FROM made AS m
  JOIN outbox.deliveries AS d ON d.id = m.replay_of
  LEFT JOIN outbox.subscriptions AS s ON s.id = d.subscription_id
 ORDER BY m.n
