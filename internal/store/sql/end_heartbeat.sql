-- A relay has stopped.
DELETE FROM outbox.relays WHERE id = $1
