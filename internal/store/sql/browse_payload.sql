-- The payload of a delivery's event, where it has no more than $4 bytes.
SELECT e.payload::text
  FROM outbox.deliveries AS d
  JOIN outbox.events AS e ON e.id = d.event_id
 WHERE d.id = $3 AND ($1::boolean OR d.tenant = $2) AND octet_length(e.payload::text) <= $4
