-- The deliveries of one event. Their ids begin as the event's does; those of replays don't, and are looked for among
-- the first few thousand that bear the event's time, which are all but where a transaction wrote many events at once.
SELECT d.id, d.event_id, d.subscription_id, d.event_created_at, d.last_attempt_at, d.next_attempt_at, d.finished_at,
         d.replay_of, d.attempts, d.response_code, d.status, d.event_type, d.tenant, d.user_id, d.url, d.error_class, d.error
  FROM outbox.deliveries AS d
 WHERE d.event_id = $3 AND ($1::boolean OR d.tenant = $2)
   AND d.id IN (
         SELECT k.id FROM outbox.deliveries AS k
          WHERE k.event_created_at = $4 AND k.id >= $5::uuid AND k.id <= $6::uuid
         UNION ALL
         (SELECT k.id FROM outbox.deliveries AS k WHERE k.event_created_at = $4 ORDER BY k.id DESC LIMIT 5000))
 ORDER BY d.id
 LIMIT 100
