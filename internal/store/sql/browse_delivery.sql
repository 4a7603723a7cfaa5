-- One delivery with its event and what its subscription is now; of the payload the first $4 characters.
SELECT d.id, d.event_id, d.subscription_id, d.event_created_at, d.last_attempt_at, d.next_attempt_at, d.finished_at,
         d.replay_of, d.attempts, d.response_code, d.status, d.event_type, d.tenant, d.user_id, d.url, d.error_class, d.error,
       e.id IS NOT NULL AS has_event, left(e.payload::text, $4) AS payload, coalesce(length(e.payload::text), 0) AS payload_length,
       e.traceparent, s.id IS NOT NULL AS has_subscription, coalesce(s.active, false) AS active, s.name, s.headers
  FROM outbox.deliveries AS d
  LEFT JOIN outbox.events AS e ON e.id = d.event_id
  LEFT JOIN outbox.subscriptions AS s ON s.id = d.subscription_id
 WHERE d.id = $3 AND ($1::boolean OR d.tenant = $2)
