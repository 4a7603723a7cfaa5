-- The subscriptions that most went wrong at in this hour and the last.
SELECT w.subscription_id, coalesce(s.name, ''), coalesce(s.url, ''), coalesce(s.tenant, ''), coalesce(s.active, false),
       w.accepted, w.rejected, w.unreachable, w.failed, w.duration_ms
  FROM (SELECT subscription_id, sum(accepted)::bigint AS accepted, sum(rejected)::bigint AS rejected,
               sum(unreachable)::bigint AS unreachable, sum(failed)::bigint AS failed, sum(duration_ms)::bigint AS duration_ms
          FROM outbox.subscription_stats
         WHERE hour >= date_trunc('hour', now()) - interval '1 hour'
         GROUP BY subscription_id) AS w
  LEFT JOIN outbox.subscriptions AS s ON s.id = w.subscription_id
 WHERE w.rejected + w.unreachable + w.failed > 0
 ORDER BY w.rejected + w.unreachable + w.failed DESC, w.subscription_id
 LIMIT 10
