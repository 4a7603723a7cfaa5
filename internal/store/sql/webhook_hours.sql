-- What was sent to some subscriptions in each of the last 24 hours, the current one included; 0 is the current hour.
SELECT subscription_id, floor(extract(epoch FROM now() - hour) / 3600)::integer AS hours_ago,
       sum(accepted)::bigint, sum(rejected)::bigint, sum(unreachable)::bigint, sum(failed)::bigint, sum(duration_ms)::bigint
  FROM outbox.subscription_stats
 WHERE subscription_id = ANY ($1::uuid[]) AND hour > now() - interval '24 hours' AND hour <= now()
 GROUP BY 1, 2
