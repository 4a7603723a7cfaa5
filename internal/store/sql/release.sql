-- Gives claimed deliveries back unsent: due at once, for anyone.
UPDATE outbox.deliveries SET due_at = clock_timestamp(), lease = NULL
 WHERE id = ANY($1::uuid[]) AND lease = $2::uuid AND due_at IS NOT NULL
