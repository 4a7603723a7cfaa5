-- Removes changes that the slot has passed and that a later one, passed as well, replaces.
DELETE FROM outbox.subscription_changes AS c
 WHERE c.commit_lsn < $1::text::pg_lsn
   AND (c.subscription IS NULL OR EXISTS (
     SELECT FROM outbox.subscription_changes AS n
      WHERE n.subscription_id = c.subscription_id AND n.commit_lsn < $1::text::pg_lsn
        AND (n.commit_lsn, n.id) > (c.commit_lsn, c.id)))
   -- a removal goes last, when nothing older is left for it to hide
   AND (c.subscription IS NOT NULL OR NOT EXISTS (
     SELECT FROM outbox.subscription_changes AS o
      WHERE o.subscription_id = c.subscription_id AND (o.commit_lsn, o.id) < (c.commit_lsn, c.id)))
