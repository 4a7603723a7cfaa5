-- The slots that other relays read, of those that were seen within so many seconds.
SELECT DISTINCT slot FROM outbox.relays
 WHERE leads AND slot <> $1 AND seen_at > clock_timestamp() - $2::float8 * interval '1 s'
 ORDER BY slot
