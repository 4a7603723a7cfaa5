-- Statistics of hours two days ago.
DELETE FROM outbox.subscription_stats WHERE hour < now() - interval '2 days'
