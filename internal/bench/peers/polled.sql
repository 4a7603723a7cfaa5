CREATE TABLE IF NOT EXISTS polled_events (
  number     bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id         uuid        NOT NULL DEFAULT gen_random_uuid(),
  type       text        NOT NULL,
  user_id    text,
  payload    json        NOT NULL,
  status     text        NOT NULL DEFAULT 'pending',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS polled_events_pending_idx ON polled_events (number) WHERE status = 'pending';

CREATE TABLE IF NOT EXISTS polled_attempts (
  number      bigint      NOT NULL,
  started_at  timestamptz NOT NULL,
  duration_ms integer     NOT NULL,
  code        integer     NOT NULL,

  PRIMARY KEY (number, started_at)
);
