-- What lies outside of schema outbox, depends on it, and would be dropped with it: views, foreign keys, defaults, triggers.
WITH ours AS (
  SELECT 'pg_class'::regclass AS classid, c.oid FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('outbox')
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace('outbox')
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid FROM pg_type AS t WHERE t.typnamespace = to_regnamespace('outbox')
), theirs AS (
  SELECT d.classid, d.objid, d.objsubid,
         coalesce(
           (SELECT r.ev_class FROM pg_rewrite AS r WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid),
           (SELECT k.conrelid FROM pg_constraint AS k WHERE d.classid = 'pg_constraint'::regclass AND k.oid = d.objid),
           (SELECT a.adrelid FROM pg_attrdef AS a WHERE d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid),
           (SELECT t.tgrelid FROM pg_trigger AS t WHERE d.classid = 'pg_trigger'::regclass AND t.oid = d.objid),
           CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END) AS relation
    FROM pg_depend AS d JOIN ours AS o ON d.refclassid = o.classid AND d.refobjid = o.oid
   WHERE d.deptype IN ('n', 'a')
)
SELECT DISTINCT CASE WHEN t.classid = 'pg_rewrite'::regclass THEN pg_describe_object('pg_class'::regclass, t.relation, 0)
                     ELSE pg_describe_object(t.classid, t.objid, t.objsubid) END
  FROM theirs AS t JOIN pg_class AS c ON c.oid = t.relation
 WHERE c.relnamespace <> to_regnamespace('outbox') AND c.relnamespace <> 'pg_toast'::regnamespace
 ORDER BY 1
