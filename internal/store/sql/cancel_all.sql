-- Cancels all that waits.
UPDATE outbox.deliveries
   SET status = 'cancelled', due_at = NULL, next_attempt_at = NULL, lease = NULL, finished_at = clock_timestamp()
 WHERE due_at IS NOT NULL
