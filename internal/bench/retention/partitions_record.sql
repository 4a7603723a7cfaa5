-- The statement that records a batch, as the relay has it, for keys that hold the partition key.
-- A row that is there already is changed only by who holds its lease, and never once it is finished.
WITH input AS MATERIALIZED (
  SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::int[], $11::uuid[], $12::bigint[], $13::bigint[], $14::bigint[], $15::int[], $16::text[],
    $17::text[], $18::text[]
  ) AS i (
    id, event_id, subscription_id, event_created_at, event_type, tenant, user_id, url,
    status, attempts, lease, ended_ago_us, due_in_us, duration_us, response_code, error_class,
    error, response_body
  )
), saved AS (
  INSERT INTO outbox.deliveries AS d (
    id, event_id, subscription_id, event_created_at, event_type, tenant, user_id, url,
    status, attempts, lease, due_at, last_attempt_at, next_attempt_at, finished_at, response_code, error_class, error)
  SELECT
    i.id, i.event_id, i.subscription_id, i.event_created_at, i.event_type, i.tenant, i.user_id, i.url,
    i.status, i.attempts, i.lease,
    CASE i.status
      WHEN 'retrying' THEN t.ended + i.due_in_us * interval '1 microsecond'
      WHEN 'pending' THEN statement_timestamp() + i.due_in_us * interval '1 microsecond'
    END,
    t.ended,
    CASE i.status WHEN 'retrying' THEN t.ended + i.due_in_us * interval '1 microsecond' END,
    CASE WHEN i.status NOT IN ('pending', 'retrying') THEN statement_timestamp() END,
    i.response_code, i.error_class, i.error
  FROM input AS i, LATERAL (SELECT statement_timestamp() - i.ended_ago_us * interval '1 microsecond') AS t(ended)
  ON CONFLICT (id, event_created_at) DO UPDATE SET
    status = EXCLUDED.status,
    attempts = EXCLUDED.attempts,
    url = EXCLUDED.url,
    due_at = EXCLUDED.due_at,
    last_attempt_at = coalesce(EXCLUDED.last_attempt_at, d.last_attempt_at),
    next_attempt_at = EXCLUDED.next_attempt_at,
    finished_at = EXCLUDED.finished_at,
    response_code = CASE WHEN EXCLUDED.last_attempt_at IS NULL THEN d.response_code ELSE EXCLUDED.response_code END,
    error_class = CASE WHEN EXCLUDED.last_attempt_at IS NULL THEN d.error_class ELSE EXCLUDED.error_class END,
    error = CASE WHEN EXCLUDED.last_attempt_at IS NULL THEN d.error ELSE EXCLUDED.error END
  WHERE d.due_at IS NOT NULL AND d.lease = EXCLUDED.lease
  RETURNING d.id, d.attempts, d.last_attempt_at, d.event_created_at
)
INSERT INTO outbox.attempts (
  delivery_id, attempt, started_at, duration_ms, response_code, error_class, error, response_body, event_created_at)
SELECT s.id, s.attempts, s.last_attempt_at - i.duration_us * interval '1 microsecond',
       round(i.duration_us / 1000.0), i.response_code, i.error_class, i.error, i.response_body, s.event_created_at
  FROM saved AS s
  JOIN input AS i ON i.id = s.id
 WHERE i.ended_ago_us IS NOT NULL
ON CONFLICT DO NOTHING
