-- The catalogue of event types.
SELECT type, description, sample::text, coalesce(schema::text, '') FROM outbox.event_types ORDER BY type LIMIT 2000
