-- Creates a declared subscription, or brings it up to date; a row that is right already is not written. A secret that is
-- replaced signs as well for a day, as `relay subscriptions rotate` has it: receivers can't change at the same moment.
INSERT INTO outbox.subscriptions AS s (tenant, name, url, event_types, secret, headers, declared, rate, concurrency, timeout)
VALUES ($1, $2, $3, $4, coalesce(nullif($5, ''), outbox.new_secret()), $6::text::json, true,
        $7, $8, $9::bigint * interval '1 microsecond')
ON CONFLICT (tenant, name) DO UPDATE SET
  url = EXCLUDED.url, event_types = EXCLUDED.event_types, headers = EXCLUDED.headers, declared = true, active = true,
  secret = CASE WHEN $5 = '' THEN s.secret ELSE EXCLUDED.secret END,
  previous_secret = CASE WHEN $5 IN ('', s.secret) THEN s.previous_secret ELSE s.secret END,
  previous_secret_expires_at = CASE WHEN $5 IN ('', s.secret) THEN s.previous_secret_expires_at ELSE now() + interval '1 day' END,
  rate = EXCLUDED.rate, concurrency = EXCLUDED.concurrency, timeout = EXCLUDED.timeout
WHERE (s.url, s.event_types, s.headers::text, s.declared, s.active, s.rate, s.concurrency, s.timeout) IS DISTINCT FROM
      (EXCLUDED.url, EXCLUDED.event_types, EXCLUDED.headers::text, true, true, EXCLUDED.rate, EXCLUDED.concurrency, EXCLUDED.timeout)
   OR $5 <> '' AND s.secret <> $5
