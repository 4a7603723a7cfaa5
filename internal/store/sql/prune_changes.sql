-- Removes changes that the slot has passed and that a later one, passed as well, replaces. A removal goes last, when nothing
-- older is left for it to hide. What is marked anew meanwhile waits for the next time.
DELETE FROM outbox.subscription_changes AS c
 USING (
   SELECT id, commit_lsn, lag(id) OVER w IS NULL AS first, lead(id) OVER w IS NULL AS last
     FROM outbox.subscription_changes
    WHERE commit_lsn < $1::text::pg_lsn
   WINDOW w AS (PARTITION BY subscription_id ORDER BY commit_lsn, id)
 ) AS p
 WHERE c.id = p.id AND c.commit_lsn = p.commit_lsn
   AND CASE WHEN c.subscription IS NULL THEN p.first ELSE NOT p.last END
