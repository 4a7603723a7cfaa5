-- The catalogue.
SELECT type, description, sample::text, coalesce(schema::text, ''), declared, created_at, updated_at
  FROM outbox.event_types
 ORDER BY type COLLATE "C"
