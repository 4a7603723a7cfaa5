-- Removes a subscription, unless relay.yaml keeps it. What was not sent to it yet is cancelled by the relay.
DELETE FROM outbox.subscriptions WHERE id = $3 AND ($1::boolean OR tenant = $2) AND NOT declared
