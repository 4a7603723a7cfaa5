-- What waits, looked at up to a limit so that the cost is bounded, and for how many seconds the first has been due: one
-- index probe a subscription.
WITH RECURSIVE looked AS MATERIALIZED (
  SELECT status FROM outbox.deliveries WHERE due_at IS NOT NULL LIMIT $1
), due AS (
  (SELECT subscription_id, due_at FROM outbox.deliveries
    WHERE due_at IS NOT NULL ORDER BY subscription_id, due_at LIMIT 1)
  UNION ALL
  SELECT n.subscription_id, n.due_at FROM due CROSS JOIN LATERAL (
    SELECT d.subscription_id, d.due_at FROM outbox.deliveries AS d
     WHERE d.due_at IS NOT NULL AND d.subscription_id > due.subscription_id
     ORDER BY d.subscription_id, d.due_at LIMIT 1) AS n
)
SELECT (SELECT count(*) FROM looked WHERE status = 'pending'), (SELECT count(*) FROM looked WHERE status = 'retrying'),
       coalesce((SELECT greatest(extract(epoch FROM clock_timestamp() - min(due_at)), 0) FROM due), 0)::float8
