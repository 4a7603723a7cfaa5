-- Retention, one batch: finished deliveries of events that are older, and their attempts.
WITH old AS (
  SELECT d.id FROM outbox.deliveries AS d
   WHERE d.event_created_at < now() - $1::bigint * interval '1 microsecond' AND d.due_at IS NULL
     AND NOT EXISTS (SELECT FROM outbox.events AS e WHERE e.id = d.event_id)
   ORDER BY d.event_created_at LIMIT $2
     FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM outbox.attempts AS a USING old WHERE a.delivery_id = old.id
)
DELETE FROM outbox.deliveries AS d USING old WHERE d.id = old.id
