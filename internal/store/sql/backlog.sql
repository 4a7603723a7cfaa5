-- What waits: pending and retrying deliveries, how many seconds the oldest pending one has been due, the WAL written
-- since the slot's confirmed position, and how much more may be written before the server gives the slot up (NULL: no limit).
SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'retrying'),
       coalesce(greatest(extract(epoch FROM clock_timestamp() - min(due_at) FILTER (WHERE status = 'pending')), 0), 0)::float8,
       coalesce((SELECT greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint
                   FROM pg_replication_slots WHERE slot_name = $1), 0),
       (SELECT safe_wal_size FROM pg_replication_slots WHERE slot_name = $1)
  FROM outbox.deliveries WHERE due_at IS NOT NULL
