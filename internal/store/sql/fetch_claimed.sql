-- What claimed deliveries are to send, and where to, as the subscription is now.
SELECT d.id, d.event_created_at, d.event_type, d.tenant, d.user_id, d.url,
       e.id IS NOT NULL AS has_event, current_setting('synchronous_standby_names') <> '' AS synchronous, e.payload::text AS payload, coalesce(e.traceparent, ''),
       s.id IS NOT NULL AND s.active AS has_subscription, row_to_json(s)::text AS subscription
  FROM outbox.deliveries AS d
  LEFT JOIN outbox.events AS e ON e.id = d.event_id
  LEFT JOIN (SELECT *, (extract(epoch FROM timeout) * 1000000)::bigint AS timeout_us FROM outbox.subscriptions) AS s
    ON s.id = d.subscription_id
 WHERE d.id = ANY($1::uuid[]) AND d.lease = $2::uuid AND d.due_at IS NOT NULL
