-- What the relays did in each of the last 60 minutes, the current one included; 0 is the current minute.
SELECT floor(extract(epoch FROM now() - minute) / 60)::integer AS minutes_ago,
       events, accepted, rejected, unreachable, failed, answer_counts, delay_counts, pending, retrying, oldest_seconds,
       slot_lag_bytes
  FROM outbox.relay_stats
 WHERE minute > now() - interval '60 minutes' AND minute <= now()
 ORDER BY minute
