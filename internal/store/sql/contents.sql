-- What is lost with schema outbox: its size on disk, and about how many events and deliveries it has.
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint,
       coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relname = 'events'), 0)::bigint,
       coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relname = 'deliveries'), 0)::bigint
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'outbox' AND c.relkind IN ('r', 'p')
