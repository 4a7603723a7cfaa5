-- How many deliveries of a subscription a replay would deliver again, and how many it cannot, since their events are gone.
-- A delivery that was replayed already is not: its newest replay stands for it.
SELECT count(e.id), count(*) - count(e.id)
  FROM outbox.deliveries AS d
  LEFT JOIN outbox.events AS e ON e.id = d.event_id
 WHERE d.subscription_id = $1 AND d.event_created_at >= $2 AND d.event_created_at < $3
   AND d.status = ANY ($4::text[]) AND $5 IN ('', d.event_type) AND ($6 = '' OR d.user_id = $6)
   AND NOT EXISTS (SELECT FROM outbox.deliveries AS r WHERE r.replay_of = d.id)
