-- Makes a subscription.
INSERT INTO outbox.subscriptions (tenant, name, url, event_types, secret, headers, rate, concurrency, timeout)
VALUES (coalesce(nullif($1, ''), 'default'), nullif($2, ''), $3, $4, coalesce(nullif($5, ''), outbox.new_secret()),
        $6::text::json, $7, $8, $9::bigint * interval '1 microsecond')
RETURNING id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
          previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
