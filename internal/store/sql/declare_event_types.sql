-- Creates declared event types, or brings them up to date; a row that is right already is not written.
INSERT INTO outbox.event_types AS t (type, description, sample, schema, declared)
SELECT d.type, d.description, d.sample::json, nullif(d.schema, '')::json, true
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS d(type, description, sample, schema)
ON CONFLICT (type) DO UPDATE SET
  description = EXCLUDED.description, sample = EXCLUDED.sample, schema = EXCLUDED.schema, declared = true, updated_at = now()
WHERE (t.description, t.sample::text, t.schema::text, t.declared) IS DISTINCT FROM
      (EXCLUDED.description, EXCLUDED.sample::text, EXCLUDED.schema::text, true)
