-- Data that is hard to show: many webhooks of several tenants, long names and URLs, and what would run if a page let it.
-- %RECEIVER% is the address of a receiver that answers, %REFUSING% of one that answers 500.

INSERT INTO outbox.event_types (type, description, sample) VALUES
  ('account.subscription.billing_period.renewal_reminder_scheduled', 'A reminder was scheduled that the billing period of a subscription of an account is about to be renewed.', '{"account": 7}'),
  ('heartbeat', 'Sent once a minute.', '{"n": 1}');

INSERT INTO outbox.subscriptions (id, tenant, name, url, event_types, created_at)
SELECT ('0199c82c-0000-7000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid, (ARRAY['acme', 'north', 'south'])[1 + n % 3],
       CASE WHEN n % 4 > 0 THEN 'receiver ' || lpad(n::text, 2, '0') END, 'https://receiver-' || n || '.example.com/webhooks/relay',
       CASE n % 5 WHEN 0 THEN '{*}'::text[] WHEN 1 THEN '{heartbeat}' ELSE '{account.*}' END, now() - n * interval '1 day'
  FROM generate_series(1, 52) AS n;
INSERT INTO outbox.subscriptions (id, tenant, name, url, event_types) VALUES
  ('0199c82c-0000-7000-8000-000000000201', 'acme', 'An unusually long name that somebody gave to a webhook because nobody had told them that names should be short',
   'https://a-rather-long-subdomain.of-a-department.in-a-large-company.example.com/api/v2/integrations/incoming/webhooks/relay/8f14e45fceea167a5a36dedd4bea2543?environment=production&region=eu-central-1&verbose=true',
   '{account.subscription.billing_period.renewal_reminder_scheduled,account.closed,heartbeat}'),
  ('0199c82c-0000-7000-8000-000000000202', 'acme', '<img src=x onerror=alert(1)>', 'http://%RECEIVER%/"><script>alert(1)</script>', '{*}'),
  ('0199c82c-0000-7000-8000-000000000203', 'acme', 'answers 500', 'http://%REFUSING%/hooks', '{*}'),
  ('0199c82c-0000-7000-8000-000000000204', 'acme', 'nobody there', 'http://127.0.0.1:1/hooks', '{*}'),
  ('0199c82c-0000-7000-8000-000000000205', 'acme', 'answers 200', 'http://%RECEIVER%/hooks', '{heartbeat}');

INSERT INTO outbox.events (id, type, tenant, user_id, payload, created_at)
SELECT gen_random_uuid(), 'account.subscription.billing_period.renewal_reminder_scheduled', s.tenant,
       CASE n WHEN 0 THEN '<script>alert(1)</script>' ELSE 'auth0|5f7c8ec7c33c6c004bbafe82-' || n || '@identity.example.com' END,
       '{"<script>alert(1)</script>": "\"><img src=x onerror=alert(1)>", "long": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "n": [1, 2, {"deep": {"deeper": null}}]}',
       now() - n * interval '3 hours'
  FROM outbox.subscriptions AS s, generate_series(0, 5) AS n WHERE s.id::text LIKE '%201';
INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, last_attempt_at, finished_at, attempts, response_code, status,
  event_type, tenant, user_id, url, error_class, error)
SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at, now(), now(), 1, 500, 'rejected', e.type, e.tenant, e.user_id, s.url, NULL, NULL
  FROM outbox.events AS e JOIN outbox.subscriptions AS s ON s.id::text LIKE '%201' OR s.id::text LIKE '%202';
INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms, response_code, response_body)
SELECT d.id, 1, now(), 43, 500, '<script>alert("from the receiver")</script><h1>Internal Server Error</h1>' FROM outbox.deliveries AS d;
ANALYZE;
