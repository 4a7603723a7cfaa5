-- One subscription as the console shows it.
SELECT id, tenant, name, url, event_types, headers, active, created_at, updated_at, previous_secret_expires_at,
       previous_secret IS NOT NULL AND coalesce(previous_secret_expires_at > now(), true) AS rotating, declared,
       disabled_at, disabled_reason, rate, concurrency, (extract(epoch FROM timeout) * 1000000)::bigint AS timeout_us
  FROM outbox.subscriptions
 WHERE id = $3 AND ($1::boolean OR tenant = $2)
