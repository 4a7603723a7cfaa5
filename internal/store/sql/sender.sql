-- The process that streams a slot: whether it waits, so that it hears what is sent to it; what the last status said that it got
-- (empty where this role may not see that); and whether it belongs to a relay. The names of what it waits for are those of
-- PostgreSQL 14 to 16 and, where they differ, 17 and later.
SELECT s.active_pid,
       coalesce(a.wait_event IN ('WalSenderMain', 'WalSenderWaitForWAL', 'WalSenderWaitForWal', 'WalSenderWriteData'), false) AS listens,
       coalesce(r.reply_time::text, '') AS reply,
       coalesce((extract(epoch FROM r.reply_time) * 1000000)::bigint, 0) AS replied_at_us,
       coalesce(a.application_name = current_setting('application_name'), false) AS is_relay
  FROM pg_replication_slots AS s
  LEFT JOIN pg_stat_activity AS a ON a.pid = s.active_pid
  LEFT JOIN pg_stat_replication AS r ON r.pid = s.active_pid
 WHERE s.slot_name = $1 AND s.active_pid IS NOT NULL
