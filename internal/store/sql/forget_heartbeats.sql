-- Heartbeats of relays that were killed.
DELETE FROM outbox.relays WHERE seen_at < now() - interval '1 hour'
