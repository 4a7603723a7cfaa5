-- A subscription that is about to be changed.
SELECT id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
       previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
  FROM outbox.subscriptions WHERE id = $1 FOR UPDATE
