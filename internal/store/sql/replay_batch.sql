-- A batch of a large replay: the same deliveries as count_replayable.sql, in order, after the last of the batch before.
-- Those that this replay itself made, and that may have failed already, are told by their ids, which begin with the time.
WITH picked AS MATERIALIZED (
  SELECT d.id, d.event_created_at
    FROM outbox.deliveries AS d
    JOIN outbox.events AS e ON e.id = d.event_id
   WHERE d.subscription_id = $1 AND d.event_created_at >= $2 AND d.event_created_at < $3
     AND d.status = ANY ($4::text[]) AND $5 IN ('', d.event_type) AND ($6 = '' OR d.user_id = $6)
     AND NOT EXISTS (SELECT FROM outbox.deliveries AS r WHERE r.replay_of = d.id)
     AND (d.replay_of IS NULL OR d.id < $7::uuid)
     AND (d.event_created_at, d.id) > ($8, $9::uuid)
   ORDER BY d.event_created_at, d.id LIMIT $10
)
SELECT id, event_created_at, outbox.replay(id) FROM picked ORDER BY event_created_at, id
