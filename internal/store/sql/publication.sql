-- The publication, and whether it publishes the inserts of both tables, whole rows of them.
SELECT p.oid::bigint, p.pubinsert, p.pubupdate OR p.pubdelete OR p.pubtruncate,
       coalesce((SELECT array_agg(t.tablename::text) FROM pg_publication_tables AS t
                  WHERE t.pubname = p.pubname AND t.schemaname = 'outbox'), '{}')
  FROM pg_publication AS p WHERE p.pubname = $1
