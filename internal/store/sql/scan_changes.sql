-- Subscription changes seen by the scan lie before the new slot; the smallest position says so.
UPDATE outbox.subscription_changes SET commit_lsn = '0/1'
