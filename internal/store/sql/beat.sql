-- A relay's heartbeat.
INSERT INTO outbox.relays (id, host, pid, version, slot, started_at, seen_at, leads, ready, state, in_flight)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
  seen_at = EXCLUDED.seen_at, leads = EXCLUDED.leads, ready = EXCLUDED.ready, state = EXCLUDED.state,
  in_flight = EXCLUDED.in_flight
