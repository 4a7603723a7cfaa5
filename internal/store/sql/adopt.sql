-- Makes this database the relay's home.
INSERT INTO outbox.relay_home (system_identifier, database_oid)
SELECT c.system_identifier::text, (SELECT oid FROM pg_database WHERE datname = current_database())
  FROM pg_control_system() AS c
ON CONFLICT (single) DO UPDATE SET
  system_identifier = EXCLUDED.system_identifier, database_oid = EXCLUDED.database_oid, adopted_at = now()
