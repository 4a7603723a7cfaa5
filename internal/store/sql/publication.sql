-- The publication, and whether it publishes the inserts of both tables, whole rows of them. The filters of
-- pg_publication_rel are read as JSON, since PostgreSQL 14 has no such columns.
--
-- Its version is made of the transactions that wrote its rows in the catalogue, which freezing keeps: a table that was
-- dropped and added again, or an option that was changed and put back, leaves another version. Its schemas are found by what
-- depends on it, since PostgreSQL 14 has no table of them.
SELECT p.oid::bigint, p.pubinsert,
       p.pubupdate OR p.pubdelete OR p.pubtruncate OR coalesce(t.others, false),
       p.puballtables,
       EXISTS (SELECT FROM pg_publication_rel AS r
                WHERE r.prpubid = p.oid AND (to_jsonb(r) ->> 'prqual' IS NOT NULL OR to_jsonb(r) ->> 'prattrs' IS NOT NULL)),
       coalesce(t.relations, '{}'),
       concat_ws(' ', p.xmin, (
         SELECT string_agg(concat(m.id, ':', m.written_by), ' ' ORDER BY m.id)
           FROM (SELECT oid, xmin FROM pg_publication_rel WHERE prpubid = p.oid
                 UNION ALL
                 SELECT objid, xmin FROM pg_depend WHERE refclassid = 'pg_publication'::regclass AND refobjid = p.oid
                    AND classid <> 'pg_publication_rel'::regclass) AS m(id, written_by)))
  FROM pg_publication AS p
 CROSS JOIN LATERAL (
       SELECT bool_or((schemaname, tablename) NOT IN (('outbox', 'events'), ('outbox', 'subscription_changes'))) AS others,
              array_agg(tablename::text) FILTER (WHERE schemaname = 'outbox') AS relations
         FROM pg_publication_tables WHERE pubname = p.pubname) AS t
 WHERE p.pubname = $1
