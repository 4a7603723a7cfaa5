-- The name of a subscription, for those who may not read the rest.
SELECT name FROM outbox.subscriptions WHERE id = $1
