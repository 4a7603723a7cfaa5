-- Switches a subscription off because of what its URL answered. One that somebody is changing is not waited for: the next
-- answer says the same.
UPDATE outbox.subscriptions SET active = false, disabled_reason = $2
 WHERE id = (SELECT id FROM outbox.subscriptions WHERE id = $1 AND active FOR UPDATE SKIP LOCKED)
