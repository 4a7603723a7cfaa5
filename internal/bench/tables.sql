-- A history of the last four weeks, as a relay would have left it: events evenly spread, each delivered at once to a
-- subscription that is gone by now. Each table is filled on its own, by the same numbers.
CREATE SCHEMA bench;

CREATE FUNCTION bench.happened(n bigint, total bigint) RETURNS timestamptz LANGUAGE sql STABLE
  AS $$ SELECT date_trunc('hour', now()) - interval '28 days' * (1 - n::double precision / (total + 1)) $$;

-- UUIDs that begin with the time, as outbox.uuid7() and outbox.delivery_id() give them.
CREATE FUNCTION bench.stamped(at timestamptz, version text, seed text) RETURNS uuid LANGUAGE sql STABLE
  AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || version || substr(h, 1, 3) || 'a' || substr(h, 4, 15))::uuid
      FROM (SELECT md5(seed)) AS m(h)
  $$;

CREATE FUNCTION bench.fill_events(total bigint) RETURNS void LANGUAGE sql
  AS $$
    INSERT INTO outbox.events (id, type, user_id, payload, created_at)
    SELECT bench.stamped(at, '7', 'event ' || n), 'order.updated', (n * 7919 % 100000)::text,
           '{"order":"2b7f5c1e-8a55-4b0e-9c3d-1f0a6e7d9b42","status":"shipped","carrier":"Example Mail","items":[{"sku":"A-1001","count":2},{"sku":"B-2002","count":1}],"total":{"amount":"29.90","currency":"EUR"}}',
           at
      FROM generate_series(1, total) AS n, LATERAL (SELECT bench.happened(n, total)) AS h(at)
  $$;

CREATE FUNCTION bench.fill_deliveries(total bigint) RETURNS void LANGUAGE sql
  AS $$
    INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, last_attempt_at, finished_at, attempts,
                                   response_code, status, event_type, tenant, user_id, url)
    SELECT bench.stamped(at, '8', 'delivery ' || n), bench.stamped(at, '7', 'event ' || n),
           '00000000-0000-7000-8000-000000000001', at, at + interval '3 ms', at + interval '4 ms', 1, 200, 'accepted',
           'order.updated', 'default', (n * 7919 % 100000)::text, 'https://example.com/hooks'
      FROM generate_series(1, total) AS n, LATERAL (SELECT bench.happened(n, total)) AS h(at)
  $$;

CREATE FUNCTION bench.fill_attempts(total bigint) RETURNS void LANGUAGE sql
  AS $$
    INSERT INTO outbox.attempts (delivery_id, started_at, attempt, duration_ms, response_code, response_body)
    SELECT bench.stamped(at, '8', 'delivery ' || n), at + interval '1 ms', 1, 2, 200, 'ok'
      FROM generate_series(1, total) AS n, LATERAL (SELECT bench.happened(n, total)) AS h(at)
  $$;
