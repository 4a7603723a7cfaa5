-- Which database of which cluster this is.
SELECT system_identifier::text, (SELECT oid::bigint FROM pg_database WHERE datname = current_database())
  FROM pg_control_system()
