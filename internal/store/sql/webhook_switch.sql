-- Switches a subscription on or off, unless relay.yaml keeps it.
UPDATE outbox.subscriptions SET active = $4
 WHERE id = $3 AND ($1::boolean OR tenant = $2) AND NOT declared AND active <> $4
