-- Cancels what is due for subscriptions that were removed or switched off; and what was due then already, for those that were switched on
-- again since, while no relay has read yet that they were off: the condition is that of cancel_subscription.sql. An array, as in claim.sql.
WITH off AS MATERIALIZED (
  SELECT subscription_id, max(changed_at) AS at FROM outbox.subscription_changes
   WHERE commit_lsn IS NULL AND (subscription IS NULL OR NOT (subscription->>'active')::boolean)
   GROUP BY subscription_id
), gone AS MATERIALIZED ( -- The few first: the others may have much that waits.
  SELECT u.id, CASE WHEN s.id IS NULL THEN 'infinity' ELSE off.at END AS at
    FROM unnest($1::uuid[]) AS u(id)
    LEFT JOIN outbox.subscriptions AS s ON s.id = u.id AND s.active
    LEFT JOIN off ON off.subscription_id = u.id
   WHERE s.id IS NULL OR off.at IS NOT NULL
)
UPDATE outbox.deliveries AS d
   SET status = 'cancelled', due_at = NULL, next_attempt_at = NULL, finished_at = clock_timestamp()
 WHERE d.id = ANY(ARRAY(
   SELECT c.id
     FROM gone AS g
    CROSS JOIN LATERAL (
      SELECT id, coalesce(last_attempt_at, due_at) AS touched_at FROM outbox.deliveries
       WHERE subscription_id = g.id AND due_at <= clock_timestamp()
       ORDER BY due_at LIMIT 1000
         FOR UPDATE SKIP LOCKED) AS c
    WHERE c.touched_at <= g.at))
