-- Writes what became of a batch of deliveries that are not in the log yet, and the attempts that were made. The same as
-- record.sql, for rows that meet no other: one that is there already fails the statement.
WITH input AS MATERIALIZED (
  SELECT i.*, statement_timestamp() - i.ended_ago_us * interval '1 microsecond' AS ended
    FROM unnest(
      $1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
      $9::text[], $10::int[], $11::uuid[], $12::bigint[], $13::bigint[], $14::bigint[], $15::int[], $16::text[],
      $17::text[], $18::text[]
    ) AS i (
      id, event_id, subscription_id, event_created_at, event_type, tenant, user_id, url,
      status, attempts, lease, ended_ago_us, due_in_us, duration_us, response_code, error_class,
      error, response_body
    )
), saved AS (
  INSERT INTO outbox.deliveries (
    id, event_id, subscription_id, event_created_at, event_type, tenant, user_id, url,
    status, attempts, lease, due_at, last_attempt_at, next_attempt_at, finished_at, response_code, error_class, error)
  SELECT
    i.id, i.event_id, i.subscription_id, i.event_created_at, i.event_type, i.tenant, i.user_id, i.url,
    i.status, i.attempts, i.lease,
    CASE i.status
      WHEN 'retrying' THEN i.ended + i.due_in_us * interval '1 microsecond'
      WHEN 'pending' THEN statement_timestamp() + i.due_in_us * interval '1 microsecond'
    END,
    i.ended,
    CASE i.status WHEN 'retrying' THEN i.ended + i.due_in_us * interval '1 microsecond' END,
    CASE WHEN i.status NOT IN ('pending', 'retrying') THEN statement_timestamp() END,
    i.response_code, i.error_class, i.error
  FROM input AS i
)
INSERT INTO outbox.attempts (
  delivery_id, attempt, started_at, duration_ms, response_code, error_class, error, response_body)
SELECT i.id, i.attempts, i.ended - i.duration_us * interval '1 microsecond',
       round(i.duration_us / 1000.0), i.response_code, i.error_class, i.error, i.response_body
  FROM input AS i
 WHERE i.ended_ago_us IS NOT NULL
