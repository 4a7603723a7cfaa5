-- The attempts of one delivery, the first one first.
SELECT a.attempt, a.started_at, a.duration_ms, a.response_code, a.error_class, a.error, a.response_body
  FROM outbox.attempts AS a
  JOIN outbox.deliveries AS d ON d.id = a.delivery_id
 WHERE a.delivery_id = $3 AND ($1::boolean OR d.tenant = $2)
 ORDER BY a.attempt
 LIMIT 1100
