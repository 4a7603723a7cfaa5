-- Cancels what is due for subscriptions that were removed or switched off. An array, as in claim.sql.
UPDATE outbox.deliveries AS d
   SET status = 'cancelled', due_at = NULL, next_attempt_at = NULL, finished_at = clock_timestamp()
 WHERE d.id = ANY(ARRAY(
   SELECT c.id
     FROM (SELECT u.id FROM unnest($1::uuid[]) AS u(id) -- The few that are gone first: the others may have much that waits.
            WHERE NOT EXISTS (SELECT FROM outbox.subscriptions AS s WHERE s.id = u.id AND s.active)
           OFFSET 0) AS w(subscription_id)
    CROSS JOIN LATERAL (
      SELECT id FROM outbox.deliveries
       WHERE subscription_id = w.subscription_id AND due_at <= clock_timestamp()
       ORDER BY due_at LIMIT 1000
         FOR UPDATE SKIP LOCKED) AS c))
