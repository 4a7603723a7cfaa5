-- A subscription was removed or switched off at $2: cancels what waits for it and is in nobody's hands, retries included,
-- so many at a time. The change may be read a second time, after a crash, and the subscription be active again by then:
-- then what was last touched later stays. An array, as in claim.sql.
UPDATE outbox.deliveries AS d
   SET status = 'cancelled', due_at = NULL, next_attempt_at = NULL, finished_at = clock_timestamp()
 WHERE d.id = ANY(ARRAY(
   SELECT w.id FROM outbox.deliveries AS w
    WHERE w.subscription_id = $1 AND w.due_at IS NOT NULL
      AND (w.status = 'retrying' AND w.due_at = w.next_attempt_at OR w.due_at <= clock_timestamp())
      AND (coalesce(w.last_attempt_at, w.due_at) <= $2
           OR NOT EXISTS (SELECT FROM outbox.subscriptions AS s WHERE s.id = $1 AND s.active))
    LIMIT $3
      FOR UPDATE SKIP LOCKED))
