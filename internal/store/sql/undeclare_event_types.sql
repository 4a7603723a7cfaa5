-- Removes what was declared once and is not any more.
DELETE FROM outbox.event_types WHERE declared AND type <> ALL ($1::text[])
