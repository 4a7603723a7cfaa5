-- Subscriptions as the console lists them, by tenant and name, those without a name last; after a place, where one is given.
SELECT id, tenant, name, url, event_types, headers, active, created_at, updated_at, previous_secret_expires_at,
       previous_secret IS NOT NULL AND coalesce(previous_secret_expires_at > now(), true) AS rotating, declared,
       disabled_at, disabled_reason, rate, concurrency, (extract(epoch FROM timeout) * 1000000)::bigint AS timeout_us
  FROM outbox.subscriptions
 WHERE ($1::boolean OR tenant = $2)
   AND ($3 = '' OR tenant = $3)
   AND ($4 = '' OR strpos(lower(url), lower($4)) > 0 OR strpos(lower(coalesce(name, '')), lower($4)) > 0)
   AND ($5::uuid IS NULL OR (tenant, name IS NULL, coalesce(name, ''), id) >
          (SELECT s.tenant, s.name IS NULL, coalesce(s.name, ''), s.id FROM outbox.subscriptions AS s WHERE s.id = $5))
 ORDER BY tenant, name IS NULL, coalesce(name, ''), id
 LIMIT $6
