ALTER TABLE outbox.deliveries ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id, event_created_at);
CREATE INDEX deliveries_due_idx ON outbox.deliveries (subscription_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_unfinished_event_idx ON outbox.deliveries (event_id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_user_idx ON outbox.deliveries (user_id, event_created_at) WHERE user_id IS NOT NULL;
CREATE INDEX deliveries_log_idx ON outbox.deliveries (event_created_at, id);
CREATE INDEX deliveries_not_accepted_idx ON outbox.deliveries (event_created_at, id) WHERE status <> 'accepted';
CREATE INDEX deliveries_subscription_idx ON outbox.deliveries (subscription_id, event_created_at, id);
