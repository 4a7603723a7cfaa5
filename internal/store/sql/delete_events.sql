-- Removes events that retention found, unless a delivery of theirs was begun since. Locked rows are left for later. Arrays of
-- unknown length: the planner takes them for short and looks up each id, where it would read a table of middling size whole.
WITH old AS MATERIALIZED (
  SELECT e.id FROM outbox.events AS e
   WHERE e.id = ANY(ARRAY(SELECT unnest($1::uuid[])))
     AND NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.due_at IS NOT NULL OFFSET 0)
     FOR UPDATE SKIP LOCKED
)
DELETE FROM outbox.events WHERE id = ANY(ARRAY(SELECT id FROM old))
