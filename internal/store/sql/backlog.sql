-- What waits: pending and retrying deliveries, how many seconds the oldest pending one has been due, and the WAL written
-- since the slot's confirmed position.
SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'retrying'),
       coalesce(greatest(extract(epoch FROM clock_timestamp() - min(due_at) FILTER (WHERE status = 'pending')), 0), 0)::float8,
       coalesce((SELECT greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint
                   FROM pg_replication_slots WHERE slot_name = $1), 0)
  FROM outbox.deliveries WHERE due_at IS NOT NULL
