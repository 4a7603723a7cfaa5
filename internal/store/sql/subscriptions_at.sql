-- The subscriptions as they were at a position of the WAL.
SELECT subscription::text FROM (
  SELECT DISTINCT ON (subscription_id) subscription FROM outbox.subscription_changes
   WHERE commit_lsn < $1::text::pg_lsn ORDER BY subscription_id, commit_lsn DESC, id DESC) AS latest
 WHERE subscription IS NOT NULL
