-- The relays that run, or did a moment ago.
SELECT id, host, pid, version, slot, started_at, seen_at, seen_at > now() - interval '30 seconds' AS alive, leads, ready,
       state, in_flight
  FROM outbox.relays
 WHERE seen_at > now() - interval '10 minutes'
 ORDER BY alive DESC, leads DESC, started_at
 LIMIT 50
