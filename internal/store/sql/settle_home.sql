-- Makes this database the relay's home where it has none yet. Where a slot's state says that there was one before homes
-- were noted, that is the home.
INSERT INTO outbox.relay_home (system_identifier, database_oid)
SELECT coalesce(s.system_identifier, c.system_identifier::text),
       coalesce(s.database_oid, (SELECT oid FROM pg_database WHERE datname = current_database()))
  FROM pg_control_system() AS c
  LEFT JOIN (SELECT system_identifier, database_oid FROM outbox.relay_state ORDER BY updated_at DESC LIMIT 1) AS s ON true
ON CONFLICT (single) DO NOTHING
