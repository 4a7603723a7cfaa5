-- A subscription was removed or switched off: cancels all that waits for it and is in nobody's hands, retries included.
UPDATE outbox.deliveries
   SET status = 'cancelled', due_at = NULL, next_attempt_at = NULL, finished_at = clock_timestamp()
 WHERE subscription_id = $1 AND due_at IS NOT NULL
   AND (status = 'retrying' AND due_at = next_attempt_at OR due_at <= clock_timestamp())
