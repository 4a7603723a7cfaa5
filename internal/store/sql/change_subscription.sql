-- Changes what a person may change of a subscription. Headers that are NULL stay as they are.
UPDATE outbox.subscriptions
   SET name = $2, url = $3, event_types = $4, headers = coalesce($5::text::json, headers), rate = $6, concurrency = $7,
       timeout = $8::bigint * interval '1 microsecond'
 WHERE id = $1
RETURNING id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
          previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
