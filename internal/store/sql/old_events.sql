-- Retention: the oldest events from a time on that are old enough and have no unfinished delivery, in order; up to when that
-- is; and a position of the WAL that all of them were committed before. With synchronous_commit off, what can be seen may not
-- be written yet, but it is inserted. OFFSET 0: one look a row, as long as rows are needed.
WITH cutoff AS (SELECT now() - $1::bigint * interval '1 microsecond' AS at), old AS (
  SELECT e.id, e.created_at FROM outbox.events AS e
   WHERE e.created_at >= $2 AND e.created_at < (SELECT at FROM cutoff)
     AND NOT EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.due_at IS NOT NULL OFFSET 0)
   ORDER BY e.created_at LIMIT $3
)
SELECT coalesce(array_agg(id ORDER BY created_at), '{}'),
       CASE WHEN count(*) < $3 THEN (SELECT at FROM cutoff) ELSE max(created_at) END, pg_current_wal_insert_lsn()::text
  FROM old
