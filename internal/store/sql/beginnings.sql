-- Whether there is anything to deliver, and to whom: for advice to people whose log is empty.
SELECT EXISTS (SELECT FROM outbox.events), EXISTS (SELECT FROM outbox.subscriptions WHERE active)
