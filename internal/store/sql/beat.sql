-- A relay's heartbeat. One that leads is the only one: what another of its slot said last, before it was killed, is true no more.
WITH dead AS (
  UPDATE outbox.relays SET leads = false, ready = false, state = 'not heard of since another relay leads'
   WHERE id IN (SELECT id FROM outbox.relays WHERE $7 AND slot = $5 AND id <> $1 AND leads
                   FOR UPDATE SKIP LOCKED) -- Two that both believe they lead would wait for each other.
)
INSERT INTO outbox.relays (id, host, pid, version, slot, started_at, seen_at, leads, ready, state, in_flight)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
  seen_at = EXCLUDED.seen_at, leads = EXCLUDED.leads, ready = EXCLUDED.ready, state = EXCLUDED.state,
  in_flight = EXCLUDED.in_flight
