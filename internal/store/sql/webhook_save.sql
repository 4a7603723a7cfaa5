-- Changes a subscription, unless somebody else did since its form was made, or relay.yaml keeps it.
UPDATE outbox.subscriptions
   SET name = nullif($5, ''), url = $6, event_types = $7::text[], headers = $8::text::json, rate = $9::double precision,
       concurrency = $10::integer, timeout = $11::bigint * interval '1 microsecond'
 WHERE id = $3 AND ($1::boolean OR tenant = $2) AND updated_at = $4 AND NOT declared
