ALTER TABLE outbox.events ADD CONSTRAINT events_pkey PRIMARY KEY (id, created_at);
ALTER TABLE outbox.events ADD CONSTRAINT events_type_check CHECK (type ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$') NOT VALID;
ALTER TABLE outbox.attempts ADD CONSTRAINT attempts_pkey PRIMARY KEY (delivery_id, attempt, event_created_at);
