-- Whether all of these transactions are seen by whoever looks now, and not still waiting in COMMIT for a standby. $1: their 32-bit
-- ids; each stands for the nearest to the present of those that end so.
SELECT bool_and(pg_visible_in_snapshot((next + CASE WHEN ahead < 2147483648 THEN ahead ELSE ahead - 4294967296 END)::text::xid8, snapshot))
  FROM (SELECT pg_current_snapshot() AS snapshot) AS s,
       LATERAL (SELECT pg_snapshot_xmax(snapshot)::text::bigint) AS x(next),
       unnest($1::bigint[]) AS t(xid),
       LATERAL (SELECT (xid - next) & 4294967295) AS d(ahead)
