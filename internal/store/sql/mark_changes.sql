-- Notes where in the WAL subscription changes were committed, before the slot may pass them.
UPDATE outbox.subscription_changes AS c SET commit_lsn = m.lsn::pg_lsn
  FROM unnest($1::bigint[], $2::text[]) AS m(id, lsn) WHERE c.id = m.id
