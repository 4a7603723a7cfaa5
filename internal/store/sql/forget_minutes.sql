-- Statistics of minutes two days ago.
DELETE FROM outbox.relay_stats WHERE minute < now() - interval '2 days'
