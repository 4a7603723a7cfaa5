SELECT system_identifier, database_oid::bigint, publication_oid::bigint, scanned_lsn::text, confirmed_lsn::text,
       coalesce(read_lsn, '0/0')::text, coalesce(publication_version, '')
  FROM outbox.relay_state WHERE slot = $1
