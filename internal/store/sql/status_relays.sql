-- The relays that run, and for how many seconds those that are gone have been so.
SELECT id, host, pid, version, slot, started_at, leads, ready, state, in_flight,
       greatest(extract(epoch FROM clock_timestamp() - seen_at), 0)::float8 AS seen_ago
  FROM outbox.relays
 ORDER BY leads DESC, started_at, id
