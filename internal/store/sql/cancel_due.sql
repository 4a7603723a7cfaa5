-- Cancels what is due for subscriptions that were removed or switched off.
UPDATE outbox.deliveries AS d
   SET status = 'cancelled', due_at = NULL, next_attempt_at = NULL, finished_at = clock_timestamp()
  FROM (
    SELECT c.id FROM unnest($1::uuid[]) AS w(subscription_id)
     CROSS JOIN LATERAL (
       SELECT id FROM outbox.deliveries
        WHERE subscription_id = w.subscription_id AND due_at <= clock_timestamp()
          AND NOT EXISTS (SELECT FROM outbox.subscriptions AS s WHERE s.id = w.subscription_id AND s.active)
        ORDER BY due_at LIMIT 1000
          FOR UPDATE SKIP LOCKED) AS c
  ) AS picked
 WHERE d.id = picked.id
