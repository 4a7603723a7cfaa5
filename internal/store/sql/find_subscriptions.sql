-- Which subscriptions a person means by an id, a name or a URL.
SELECT id, tenant, name, url, event_types, secret, headers, active, created_at, updated_at, previous_secret,
       previous_secret_expires_at, declared, disabled_at, disabled_reason, rate, concurrency, timeout
  FROM outbox.subscriptions
 WHERE $2 IN ('', tenant)
   AND (id::text = lower($1)
     OR (name = $1 OR url = $1)
        AND NOT EXISTS (SELECT FROM outbox.subscriptions AS s WHERE s.id::text = lower($1) AND $2 IN ('', s.tenant)))
 ORDER BY tenant, name NULLS LAST, id
