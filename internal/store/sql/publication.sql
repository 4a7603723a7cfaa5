-- The publication, and whether it publishes the inserts of both tables, whole rows of them. The filters of
-- pg_publication_rel are read as JSON, since PostgreSQL 14 has no such columns.
SELECT p.oid::bigint, p.pubinsert,
       p.pubupdate OR p.pubdelete OR p.pubtruncate OR coalesce(t.others, false),
       p.puballtables,
       EXISTS (SELECT FROM pg_publication_rel AS r
                WHERE r.prpubid = p.oid AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL)),
       coalesce(t.relations, '{}')
  FROM pg_publication AS p
 CROSS JOIN LATERAL (
       SELECT bool_or((schemaname, tablename) NOT IN (('outbox', 'events'), ('outbox', 'subscription_changes'))) AS others,
              array_agg(tablename::text) FILTER (WHERE schemaname = 'outbox') AS relations
         FROM pg_publication_tables WHERE pubname = p.pubname) AS t
 WHERE p.pubname = $1
