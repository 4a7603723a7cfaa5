-- The same, among those that no relay has read yet.
SELECT id, subscription_id FROM outbox.subscription_changes
 WHERE commit_lsn IS NULL AND (subscription IS NULL OR NOT (subscription->>'active')::boolean)
