-- Takes up due deliveries, so many of each subscription, under leases of so many microseconds. Payloads are fetched when
-- they are sent. What is picked is an array, so that it is picked once, and the rows are then found by their key: of a
-- join Postgres may think that it brings many rows, and read the whole table for it.
UPDATE outbox.deliveries AS d
   SET due_at = clock_timestamp() + ($4::bigint[])[array_position($1::uuid[], d.subscription_id)] * interval '1 microsecond',
       lease = $3::uuid
 WHERE d.id = ANY(ARRAY(
   SELECT c.id FROM unnest($1::uuid[], $2::int[]) AS w(subscription_id, n)
    CROSS JOIN LATERAL (
      SELECT id FROM outbox.deliveries
       WHERE subscription_id = w.subscription_id AND due_at <= clock_timestamp()
       ORDER BY due_at LIMIT w.n
         FOR UPDATE SKIP LOCKED) AS c))
RETURNING d.id, d.event_id, d.subscription_id, d.attempts,
          coalesce((SELECT octet_length(e.payload::text) FROM outbox.events AS e WHERE e.id = d.event_id), 0) AS payload_bytes
