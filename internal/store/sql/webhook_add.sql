-- Makes a subscription with the id that its form was given, unless its tenant has as many as it may.
INSERT INTO outbox.subscriptions (id, tenant, name, url, event_types, headers, rate, concurrency, timeout)
SELECT $3, $4, nullif($5, ''), $6, $7::text[], $8::text::json, $9::double precision, $10::integer,
       $11::bigint * interval '1 microsecond'
 WHERE ($1::boolean OR $4 = $2)
   AND ($12::bigint = 0 OR (SELECT count(*) FROM outbox.subscriptions WHERE tenant = $4) < $12)
RETURNING secret
