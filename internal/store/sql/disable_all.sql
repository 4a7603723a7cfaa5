-- Switches every subscription off, and says why.
UPDATE outbox.subscriptions SET active = false, disabled_reason = $1 WHERE active
