INSERT INTO outbox.relay_state (slot, system_identifier, database_oid, publication_oid, scanned_lsn, confirmed_lsn, read_lsn,
                                publication_version)
SELECT $1, $2, (SELECT oid FROM pg_database WHERE datname = current_database()), $3::bigint::oid, $4::text::pg_lsn, $4::text::pg_lsn,
       $4::text::pg_lsn, nullif($5::text, '')
ON CONFLICT (slot) DO UPDATE SET
  system_identifier = EXCLUDED.system_identifier, database_oid = EXCLUDED.database_oid,
  publication_oid = EXCLUDED.publication_oid, scanned_lsn = EXCLUDED.scanned_lsn,
  confirmed_lsn = EXCLUDED.confirmed_lsn, read_lsn = EXCLUDED.read_lsn,
  publication_version = EXCLUDED.publication_version, updated_at = now()
