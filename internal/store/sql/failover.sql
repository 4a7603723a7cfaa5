-- Whether the server knows failover slots (PostgreSQL 17 and later), and whether the slot is one. The row is read as JSON,
-- since earlier versions have no such column.
SELECT current_setting('server_version_num')::int >= 170000,
       coalesce((SELECT (to_jsonb(s) ->> 'failover')::boolean FROM pg_replication_slots AS s WHERE slot_name = $1), false)
