-- Removes events that retention found, unless a delivery of theirs was begun since. Locked rows are left for later.
WITH old AS (
  SELECT e.id FROM outbox.events AS e
   WHERE e.id = ANY($1::uuid[])
     AND NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.due_at IS NOT NULL)
     FOR UPDATE SKIP LOCKED
)
DELETE FROM outbox.events AS e USING old WHERE e.id = old.id
