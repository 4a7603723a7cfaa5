-- A stretch of the log, from new to old: walks at most $4 rows of an index and returns those that fit, how many were
-- walked, and where the walk ended. The path, put in for the comment below, decides which index that is.
WITH walked AS MATERIALIZED (
  SELECT d.id, d.event_id, d.subscription_id, d.event_created_at, d.last_attempt_at, d.next_attempt_at, d.finished_at,
         d.replay_of, d.attempts, d.response_code, d.status, d.event_type, d.tenant, d.user_id, d.url, d.error_class, d.error
    FROM outbox.deliveries AS d
   WHERE (d.event_created_at, d.id) < ($1::timestamptz, $2::uuid) AND d.event_created_at >= $3
     /* path */
   ORDER BY d.event_created_at DESC, d.id DESC
   LIMIT $4
), found AS (
  SELECT w.*
    FROM walked AS w
   WHERE ($5::boolean OR w.tenant = $6)
     AND ($7 = '' OR w.tenant = $7)
     AND ($8 = '' OR w.event_type = $8)
     AND ($9 = '' OR starts_with(w.event_type, $9))
     AND ($10::text[] IS NULL OR w.status = ANY ($10))
     AND ($11 = '' OR w.user_id = $11)
     AND ($12::uuid IS NULL OR w.subscription_id = $12)
     AND ($13 = '' OR strpos(w.url, $13) > 0)
     AND ($14::uuid IS NULL OR w.event_id = $14)
   ORDER BY w.event_created_at DESC, w.id DESC
   LIMIT $15
)
SELECT e.walked, e.event_created_at, e.id, f.*
  FROM (SELECT count(*) AS walked, min(w.event_created_at) AS event_created_at,
               (array_agg(w.id ORDER BY w.event_created_at, w.id))[1] AS id
          FROM walked AS w) AS e
  LEFT JOIN found AS f ON true
 ORDER BY f.event_created_at DESC, f.id DESC
