-- Written before the position is confirmed, so that a slot beyond it is known to be somebody else's.
UPDATE outbox.relay_state SET confirmed_lsn = greatest(confirmed_lsn, $2::text::pg_lsn), updated_at = now() WHERE slot = $1
