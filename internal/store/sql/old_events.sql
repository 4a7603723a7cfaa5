-- Retention: events that are older, with none of their deliveries unfinished; and a position of the WAL that all of
-- them were committed before. With synchronous_commit off, what can be seen may not be written yet, but it is inserted.
SELECT array_agg(old.id), pg_current_wal_insert_lsn()::text FROM (
  SELECT e.id FROM outbox.events AS e
   WHERE e.created_at < now() - $1::bigint * interval '1 microsecond'
     AND NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.due_at IS NOT NULL)
   LIMIT $2) AS old
