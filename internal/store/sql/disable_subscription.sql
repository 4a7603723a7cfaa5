-- Switches a subscription off because of what its URL answered.
UPDATE outbox.subscriptions SET active = false, disabled_reason = $2 WHERE id = $1 AND active
