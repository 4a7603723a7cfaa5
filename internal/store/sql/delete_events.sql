-- Removes events that retention found, unless a delivery of theirs was begun since. Locked rows are left for later.
WITH old AS MATERIALIZED (
  SELECT e.id FROM unnest($1::uuid[]) AS o(id)
    JOIN outbox.events AS e ON e.id = o.id
   WHERE NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.due_at IS NOT NULL)
     FOR UPDATE OF e SKIP LOCKED
)
DELETE FROM outbox.events AS e USING old WHERE e.id = old.id
