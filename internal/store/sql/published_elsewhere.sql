-- The tables outside of schema outbox that a publication publishes: then it is not the relay's alone.
SELECT quote_ident(schemaname) || '.' || quote_ident(tablename)
  FROM pg_publication_tables WHERE pubname = $1 AND schemaname <> 'outbox'
 ORDER BY 1
