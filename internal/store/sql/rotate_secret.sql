-- A new secret; the old one signs as well until the overlap, in microseconds, is over.
UPDATE outbox.subscriptions
   SET secret = coalesce(nullif($2, ''), outbox.new_secret()),
       previous_secret = CASE WHEN $3::bigint > 0 THEN secret END,
       previous_secret_expires_at = CASE WHEN $3::bigint > 0 THEN now() + $3::bigint * interval '1 microsecond' END
 WHERE id = $1
RETURNING id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
          previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
