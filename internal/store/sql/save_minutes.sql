-- What a relay did in a minute, in place of what stood there.
INSERT INTO outbox.relay_stats (
  minute, relay_id, events, accepted, rejected, unreachable, failed, answer_counts, delay_counts, pending, retrying,
  oldest_seconds, slot_lag_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (minute, relay_id) DO UPDATE SET
  events = EXCLUDED.events, accepted = EXCLUDED.accepted, rejected = EXCLUDED.rejected,
  unreachable = EXCLUDED.unreachable, failed = EXCLUDED.failed, answer_counts = EXCLUDED.answer_counts,
  delay_counts = EXCLUDED.delay_counts, pending = EXCLUDED.pending, retrying = EXCLUDED.retrying,
  oldest_seconds = EXCLUDED.oldest_seconds, slot_lag_bytes = EXCLUDED.slot_lag_bytes
