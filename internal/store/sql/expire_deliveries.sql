-- Retention, one batch: finished deliveries between two times whose event is gone, the oldest first, and their attempts;
-- how many there were, and the time of the last. OFFSET 0: without it the planner, which expects to find none, reads all
-- events to compare them; arrays, for the same end: it takes them for short.
WITH old AS MATERIALIZED (
  SELECT d.id, d.event_created_at FROM outbox.deliveries AS d
   WHERE d.event_created_at >= $1 AND d.event_created_at <= $2 AND d.due_at IS NULL
     AND NOT EXISTS (SELECT FROM outbox.events AS e WHERE e.id = d.event_id OFFSET 0)
   ORDER BY d.event_created_at LIMIT $3
     FOR UPDATE SKIP LOCKED
), tried AS (
  DELETE FROM outbox.attempts WHERE delivery_id = ANY(ARRAY(SELECT id FROM old))
), gone AS (
  DELETE FROM outbox.deliveries WHERE id = ANY(ARRAY(SELECT id FROM old))
)
SELECT count(*), coalesce(max(event_created_at), $2) FROM old
