-- What all relays did in the last hour, by minute.
SELECT minute, sum(events)::bigint, sum(accepted)::bigint, sum(rejected)::bigint, sum(unreachable)::bigint, sum(failed)::bigint,
       array_agg(to_json(answer_counts)::text), array_agg(to_json(delay_counts)::text)
  FROM outbox.relay_stats
 WHERE minute > now() - interval '61 minutes'
 GROUP BY minute ORDER BY minute
