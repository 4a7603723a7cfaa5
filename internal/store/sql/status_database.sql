-- Where and when this is.
SELECT current_database(), clock_timestamp(), (SELECT count(*) FROM outbox.subscriptions WHERE active),
       (SELECT count(*) FROM outbox.subscriptions WHERE NOT active)
