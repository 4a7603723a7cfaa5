-- What is lost with schema outbox: its size on disk, and how many events and deliveries it has, counted up to a limit.
SELECT coalesce((SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
                  WHERE c.relnamespace = to_regnamespace('outbox') AND c.relkind IN ('r', 'p')), 0)::bigint,
       (SELECT count(*) FROM (SELECT FROM outbox.events LIMIT $1) AS e),
       (SELECT count(*) FROM (SELECT FROM outbox.deliveries LIMIT $1) AS d)
