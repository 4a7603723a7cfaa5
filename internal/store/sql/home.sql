-- The database that the relay was set up for, if any, and the one that this is.
SELECT h.system_identifier, h.database_oid::bigint, h.adopted_at,
       c.system_identifier::text, (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
  FROM pg_control_system() AS c
  LEFT JOIN outbox.relay_home AS h ON true
