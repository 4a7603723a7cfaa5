-- What a relay sent to subscriptions in an hour, in place of what stood there.
INSERT INTO outbox.subscription_stats (
  subscription_id, hour, relay_id, accepted, rejected, unreachable, failed, duration_ms)
SELECT * FROM unnest(
  $1::uuid[], $2::timestamptz[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
ON CONFLICT (subscription_id, hour, relay_id) DO UPDATE SET
  accepted = EXCLUDED.accepted, rejected = EXCLUDED.rejected, unreachable = EXCLUDED.unreachable,
  failed = EXCLUDED.failed, duration_ms = EXCLUDED.duration_ms
