-- Changes that switch a subscription off or remove it and are still to come in the stream.
SELECT id, subscription_id FROM outbox.subscription_changes
 WHERE (commit_lsn IS NULL OR commit_lsn >= $1::text::pg_lsn)
   AND (subscription IS NULL OR NOT (subscription->>'active')::boolean)
