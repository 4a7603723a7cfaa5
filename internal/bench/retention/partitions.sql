-- The same tables in partitions by time. Keys must hold the partition key, so the id of an event or of a delivery alone is
-- unique no more, and an attempt needs its event's time.
DROP VIEW outbox.delivery_log;
ALTER TABLE outbox.events RENAME TO plain_events;
ALTER TABLE outbox.deliveries RENAME TO plain_deliveries;
ALTER TABLE outbox.attempts RENAME TO plain_attempts;
CREATE TABLE outbox.events (LIKE outbox.plain_events INCLUDING DEFAULTS) PARTITION BY RANGE (created_at);
CREATE TABLE outbox.deliveries (LIKE outbox.plain_deliveries INCLUDING DEFAULTS) PARTITION BY RANGE (event_created_at);
CREATE TABLE outbox.attempts (LIKE outbox.plain_attempts INCLUDING DEFAULTS, event_created_at timestamptz NOT NULL)
  PARTITION BY RANGE (event_created_at);
DROP TABLE outbox.plain_events, outbox.plain_deliveries, outbox.plain_attempts;

CREATE VIEW outbox.delivery_log AS
  SELECT d.id AS delivery_id, d.event_id, d.event_type, d.tenant, d.user_id, d.subscription_id, d.url, d.status,
         d.attempts, d.response_code, d.error, d.event_created_at AS created_at, d.last_attempt_at,
         d.next_attempt_at, d.finished_at, e.payload, d.error_class, d.replay_of
    FROM outbox.deliveries AS d
    LEFT JOIN outbox.events AS e ON e.id = d.event_id AND e.created_at = d.event_created_at;
