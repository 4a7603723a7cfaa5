-- The subscriptions that have unfinished deliveries, when the first of each falls due, and their own limits: one index
-- probe a subscription, however many deliveries wait.
WITH RECURSIVE due AS (
  (SELECT subscription_id, due_at FROM outbox.deliveries
    WHERE due_at IS NOT NULL ORDER BY subscription_id, due_at LIMIT 1)
  UNION ALL
  SELECT n.subscription_id, n.due_at FROM due CROSS JOIN LATERAL (
    SELECT d.subscription_id, d.due_at FROM outbox.deliveries AS d
     WHERE d.due_at IS NOT NULL AND d.subscription_id > due.subscription_id
     ORDER BY d.subscription_id, d.due_at LIMIT 1) AS n
)
SELECT due.subscription_id, (extract(epoch FROM due.due_at - clock_timestamp()) * 1e6)::bigint AS due_in_us,
       coalesce(s.rate, 0), coalesce(s.concurrency, 0), coalesce((extract(epoch FROM s.timeout) * 1e6)::bigint, 0)
  FROM due
  LEFT JOIN LATERAL ( -- OFFSET 0: looked up for each of the few, not joined with all that there are.
    SELECT rate, concurrency, timeout FROM outbox.subscriptions WHERE id = due.subscription_id OFFSET 0) AS s ON true
