-- All subscriptions, or those of one tenant.
SELECT id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
       previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
  FROM outbox.subscriptions
 WHERE $1 IN ('', tenant)
 ORDER BY tenant, name NULLS LAST, id
