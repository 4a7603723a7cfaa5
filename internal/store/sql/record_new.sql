-- Writes what became of a batch of deliveries that are not in the log yet, and the attempts that were made. The same as
-- record.sql, for rows that meet no other: one that is there already fails the statement.
WITH input AS MATERIALIZED (
  SELECT
    unnest($1::uuid[]) AS id, unnest($2::uuid[]) AS event_id, unnest($3::uuid[]) AS subscription_id,
    unnest($4::timestamptz[]) AS event_created_at, unnest($5::text[]) AS event_type, unnest($6::text[]) AS tenant,
    unnest($7::text[]) AS user_id, unnest($8::text[]) AS url, unnest($9::text[]) AS status,
    unnest($10::int[]) AS attempts, unnest($11::uuid[]) AS lease, unnest($12::bigint[]) AS ended_ago_us,
    unnest($13::bigint[]) AS due_in_us, unnest($14::bigint[]) AS duration_us, unnest($15::int[]) AS response_code,
    unnest($16::text[]) AS error_class, unnest($17::text[]) AS error, unnest($18::text[]) AS response_body
), saved AS (
  INSERT INTO outbox.deliveries (
    id, event_id, subscription_id, event_created_at, event_type, tenant, user_id, url,
    status, attempts, lease, due_at, last_attempt_at, next_attempt_at, finished_at, response_code, error_class, error)
  SELECT
    i.id, i.event_id, i.subscription_id, i.event_created_at, i.event_type, i.tenant, i.user_id, i.url,
    t.status, i.attempts, i.lease,
    CASE t.status
      WHEN 'retrying' THEN t.ended + i.due_in_us * interval '1 microsecond'
      WHEN 'pending' THEN statement_timestamp() + i.due_in_us * interval '1 microsecond'
    END,
    t.ended,
    CASE t.status WHEN 'retrying' THEN t.ended + i.due_in_us * interval '1 microsecond' END,
    CASE WHEN t.status NOT IN ('pending', 'retrying') THEN statement_timestamp() END,
    i.response_code, i.error_class, i.error
  FROM input AS i, LATERAL (
    SELECT statement_timestamp() - i.ended_ago_us * interval '1 microsecond',
           CASE WHEN i.status <> 'retrying' OR EXISTS (SELECT FROM outbox.subscriptions AS s WHERE s.id = i.subscription_id AND s.active)
                THEN i.status ELSE 'cancelled' END) AS t(ended, status)
)
INSERT INTO outbox.attempts (
  delivery_id, attempt, started_at, duration_ms, response_code, error_class, error, response_body)
SELECT i.id, i.attempts, statement_timestamp() - (i.ended_ago_us + i.duration_us) * interval '1 microsecond',
       round(i.duration_us / 1000.0), i.response_code, i.error_class, i.error, i.response_body
  FROM input AS i
 WHERE i.ended_ago_us IS NOT NULL
