-- Demo data for the screenshots: a few webhooks and a day of deliveries.

INSERT INTO outbox.event_types (type, description, sample, schema) VALUES
  ('user.invited', 'Somebody was invited to a workspace.',
   '{"user": {"id": 42, "email": "user@example.com"}, "workspace": "acme", "invited_by": "admin@example.com", "role": "editor"}',
   '{"type": "object", "required": ["user", "workspace"], "properties": {"user": {"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": "string", "format": "email"}}}, "workspace": {"type": "string"}, "role": {"enum": ["viewer", "editor", "owner"]}}}'),
  ('user.signed_up', 'A user signed up.', '{"user": {"id": 42, "email": "user@example.com"}, "plan": "team", "trial": true}', NULL),
  ('user.deleted', 'A user and all that was theirs is gone.', '{"user": {"id": 42}, "reason": "requested"}', NULL),
  ('order.paid', 'An order was paid in full.',
   '{"order": "A-10293", "total": {"amount": 129.90, "currency": "EUR"}, "items": [{"sku": "relay-mug", "quantity": 2}], "paid": true, "coupon": null}', NULL),
  ('order.refunded', 'A paid order was refunded, in whole or in part.', '{"order": "A-10293", "amount": 29.90, "currency": "EUR"}', NULL),
  ('invoice.overdue', 'An invoice was not paid in time.', '{"invoice": "2026-0042", "days": 14, "amount": 480}', NULL);

INSERT INTO outbox.subscriptions (id, tenant, name, url, event_types, headers, rate, declared, created_at) VALUES
  ('0199c82c-0000-7000-8000-000000000001', 'default', 'crm', 'https://crm.example.com/hooks/relay', '{user.*}', '{"Authorization": "Bearer x"}', NULL, true, now() - interval '40 days'),
  ('0199c82c-0000-7000-8000-000000000002', 'default', 'billing', 'https://billing.example.net/webhooks/incoming?source=app', '{order.paid,order.refunded,invoice.overdue}', '{"Authorization": "Bearer x", "X-Team": "billing"}', 20, false, now() - interval '31 days'),
  ('0199c82c-0000-7000-8000-000000000003', 'default', 'data warehouse', 'https://ingest.warehouse.example.org/v1/events', '{*}', '{}', NULL, false, now() - interval '22 days'),
  ('0199c82c-0000-7000-8000-000000000004', 'default', 'chat alerts', 'https://chat.example.com/services/T02/B7K/incoming', '{order.*,invoice.overdue}', '{}', 1, false, now() - interval '9 days'),
  ('0199c82c-0000-7000-8000-000000000005', 'default', NULL, 'https://automation.example.org/hooks/9f2c41', '{user.invited,user.signed_up}', '{}', NULL, false, now() - interval '12 days'),
  ('0199c82c-0000-7000-8000-000000000006', 'default', 'old crm', 'https://legacy.example.com/api/webhook.php', '{user.*}', '{}', NULL, false, now() - interval '90 days');
UPDATE outbox.subscriptions SET active = false, disabled_reason = 'answered 410' WHERE name = 'old crm';

-- One event every some seconds, to whom it concerns.
CREATE TEMP TABLE happened AS
SELECT n, now() - n * n * interval '1.1 seconds' - n * interval '9 seconds' - interval '12 seconds' AS at,
       (ARRAY['user.invited', 'order.paid', 'user.signed_up', 'order.paid', 'user.invited', 'order.refunded', 'user.deleted', 'invoice.overdue', 'user.signed_up'])[1 + n % 9] AS type,
       (1000 + (n * 37) % 53)::text AS user_id
  FROM generate_series(1, 440) AS n;

INSERT INTO outbox.events (id, type, user_id, payload, created_at)
SELECT (lpad(to_hex((extract(epoch FROM h.at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
       h.type, h.user_id, replace(e.sample::text, '42', h.user_id)::json, h.at
  FROM happened AS h JOIN outbox.event_types AS e USING (type);

-- When each attempt began that gets no answer: 15 s each, and the pauses between them.
CREATE TEMP TABLE schedule AS
SELECT a AS attempt, (SELECT coalesce(sum(20 + k ^ 4), 0) FROM generate_series(1, a - 1) AS k) * interval '1 second' AS after
  FROM generate_series(1, 17) AS a;

INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, last_attempt_at, next_attempt_at, finished_at, attempts,
  response_code, status, event_type, tenant, user_id, url, error_class, error)
SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at,
       CASE WHEN k.status = 'retrying' THEN e.created_at + next.after END,
       e.created_at + CASE WHEN k.status IN ('retrying', 'failed') THEN made.after + interval '15 s' ELSE interval '42 ms' END,
       CASE WHEN k.status = 'retrying' THEN e.created_at + next.after END,
       CASE k.status WHEN 'retrying' THEN NULL WHEN 'failed' THEN e.created_at + made.after + interval '15 s' ELSE e.created_at + interval '44 ms' END,
       CASE WHEN k.status IN ('retrying', 'failed') THEN made.attempt ELSE 1 END,
       CASE k.status WHEN 'accepted' THEN 200 WHEN 'rejected' THEN k.code END,
       k.status, e.type, 'default', e.user_id, s.url,
       CASE WHEN k.status IN ('retrying', 'failed') THEN 'timeout' END,
       CASE WHEN k.status IN ('retrying', 'failed') THEN 'no answer within 15s' END
  FROM outbox.events AS e
  JOIN outbox.subscriptions AS s ON s.active AND EXISTS (
         SELECT FROM unnest(s.event_types) AS p WHERE e.type = p OR right(p, 1) = '*' AND starts_with(e.type, rtrim(p, '*')))
  CROSS JOIN LATERAL (SELECT ('x' || substr(md5(e.id::text || s.id::text), 1, 6))::bit(24)::int AS r) AS r
  CROSS JOIN LATERAL (SELECT CASE
      WHEN s.name = 'billing' AND e.created_at < now() - interval '51 hours' THEN 'failed'
      WHEN s.name = 'billing' AND (e.created_at > now() - interval '12 minutes' OR r.r % 9 = 0) AND e.created_at < now() - interval '20 seconds' THEN 'retrying'
      WHEN s.name = 'chat alerts' AND r.r % 3 = 0 THEN 'rejected'
      WHEN r.r % 61 = 0 THEN 'rejected'
      ELSE 'accepted' END AS status, CASE WHEN s.name = 'chat alerts' THEN 429 ELSE 500 END AS code) AS k
  CROSS JOIN LATERAL (SELECT * FROM schedule AS c WHERE c.attempt <= 16 AND e.created_at + c.after + interval '15 s' < now() ORDER BY c.attempt DESC LIMIT 1) AS made
  JOIN schedule AS next ON next.attempt = made.attempt + 1
 WHERE e.created_at >= s.created_at;

INSERT INTO outbox.attempts (delivery_id, started_at, attempt, duration_ms, response_code, error_class, error, response_body)
SELECT d.id, d.event_created_at + c.after, c.attempt,
       CASE WHEN d.error_class IS NULL THEN 12 + abs(hashtext(d.id::text)) % 190 ELSE 15000 END, d.response_code, d.error_class, d.error,
       CASE WHEN d.response_code = 200 THEN '{"ok": true}'
            WHEN d.response_code = 429 THEN '{"error": "rate_limited", "retry_after": 30}'
            WHEN d.response_code = 500 THEN E'<!doctype html>\n<title>Internal Server Error</title>\n<h1>500</h1>' END
  FROM outbox.deliveries AS d JOIN schedule AS c ON c.attempt <= d.attempts;

INSERT INTO outbox.subscription_stats (subscription_id, hour, relay_id, accepted, rejected, unreachable, failed, duration_ms)
SELECT s.id, date_trunc('hour', now()) - h * interval '1 hour', '0199c82c-0000-7000-8000-0000000000aa',
       (base * (0.6 + 0.5 * sin(h / 3.8) + (h * 7 % 5) / 12.0))::bigint,
       CASE v.name WHEN 'chat alerts' THEN (base * 0.3)::bigint WHEN 'data warehouse' THEN CASE WHEN h = 9 THEN 210 ELSE 1 END ELSE 0 END,
       CASE WHEN s.name = 'billing' AND h IN (0, 5, 6) THEN (base * 0.5)::bigint ELSE 0 END,
       CASE WHEN s.name = 'billing' AND h = 5 THEN 12 ELSE 0 END, 90000
  FROM outbox.subscriptions AS s
  JOIN (VALUES ('crm', 220), ('billing', 90), ('data warehouse', 640), ('chat alerts', 40), ('', 150)) AS v(name, base) ON v.name = coalesce(s.name, ''),
       generate_series(0, 23) AS h;

INSERT INTO outbox.relays (id, host, pid, version, slot, started_at, seen_at, leads, ready, state, in_flight) VALUES
  ('0199c82c-0000-7000-8000-0000000000aa', 'relay-7d9f4', 1, '1.0.0', 'relay', now() - interval '3 days', now() + interval '9 minutes', true, true, 'relaying', 14),
  ('0199c82c-0000-7000-8000-0000000000ab', 'relay-x2k8p', 1, '1.0.0', 'relay', now() - interval '3 days', now() + interval '9 minutes', false, true, 'standing by: another relay has the slot', 0);

INSERT INTO outbox.relay_stats (minute, relay_id, events, accepted, rejected, unreachable, failed, answer_counts, delay_counts, pending, retrying, oldest_seconds, slot_lag_bytes)
SELECT date_trunc('minute', now()) - m * interval '1 minute', '0199c82c-0000-7000-8000-0000000000aa', v * 60, v * 96, v * 5,
       CASE WHEN m BETWEEN 20 AND 31 THEN v * 22 ELSE v END, 0,
       ARRAY[0, 2, 40, 900, 1500, 700, 300, 90, 30, 9, CASE WHEN m BETWEEN 20 AND 31 THEN 260 ELSE 1 END, 0, 0, 0, 0],
       ARRAY[1800, 900, 160, 40, 12, 4, CASE WHEN m BETWEEN 22 AND 27 THEN 300 ELSE 1 END, 0, 0, 0, 0, 0, 0, 0, 0],
       CASE WHEN m BETWEEN 20 AND 31 THEN 40 * (32 - m) ELSE 3 END, CASE WHEN m <= 31 THEN 900 - 20 * (31 - m) ELSE 12 END, 2,
       CASE WHEN m BETWEEN 18 AND 31 THEN 300000 * (32 - m) ELSE 20000 + m * 700 END
  FROM generate_series(1, 59) AS m, LATERAL (SELECT (14 + 6 * sin(m / 7.0) + m * 13 % 5)::bigint) AS r(v);
ANALYZE;
