-- Which of these deliveries stand in the log already.
SELECT id FROM outbox.deliveries WHERE id = ANY($1::uuid[])
