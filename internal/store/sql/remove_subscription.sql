-- Removes a subscription. What was not sent to it yet is cancelled by the relay.
DELETE FROM outbox.subscriptions WHERE id = $1
RETURNING id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
          previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
