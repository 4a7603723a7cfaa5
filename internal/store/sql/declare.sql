-- Creates a declared subscription, or brings it up to date; a row that is right already is not written.
INSERT INTO outbox.subscriptions AS s (tenant, name, url, event_types, secret, headers, declared)
VALUES ($1, $2, $3, $4, coalesce(nullif($5, ''), outbox.new_secret()), $6::text::json, true)
ON CONFLICT (tenant, name) DO UPDATE SET
  url = EXCLUDED.url, event_types = EXCLUDED.event_types, headers = EXCLUDED.headers, declared = true, active = true,
  secret = CASE WHEN $5 = '' THEN s.secret ELSE EXCLUDED.secret END
WHERE (s.url, s.event_types, s.headers::text, s.declared, s.active) IS DISTINCT FROM
      (EXCLUDED.url, EXCLUDED.event_types, EXCLUDED.headers::text, true, true)
   OR $5 <> '' AND s.secret <> $5
