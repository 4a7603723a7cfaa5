-- Switches a subscription on or off. One that is so already is written again, which changes nothing.
UPDATE outbox.subscriptions SET active = $2 WHERE id = $1
RETURNING id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
          previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
