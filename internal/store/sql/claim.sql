-- Takes up due deliveries, so many of each subscription, under leases of so many microseconds. Payloads are fetched when they are sent.
UPDATE outbox.deliveries AS d
   SET due_at = clock_timestamp() + picked.lease_us * interval '1 microsecond', lease = $3::uuid
  FROM (
    SELECT c.id, w.lease_us FROM unnest($1::uuid[], $2::int[], $4::bigint[]) AS w(subscription_id, n, lease_us)
     CROSS JOIN LATERAL (
       SELECT id FROM outbox.deliveries
        WHERE subscription_id = w.subscription_id AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT w.n
          FOR UPDATE SKIP LOCKED) AS c
  ) AS picked
 WHERE d.id = picked.id
RETURNING d.id, d.event_id, d.subscription_id, d.attempts,
          coalesce((SELECT octet_length(e.payload::text) FROM outbox.events AS e WHERE e.id = d.event_id), 0) AS payload_bytes
