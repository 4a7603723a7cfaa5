-- A new secret, unless the subscription was changed since the form was made: a form sent twice rotates once. The old
-- secret signs as well until the overlap, in microseconds, is over.
UPDATE outbox.subscriptions
   SET secret = outbox.new_secret(),
       previous_secret = CASE WHEN $5::bigint > 0 THEN secret END,
       previous_secret_expires_at = CASE WHEN $5::bigint > 0 THEN now() + $5::bigint * interval '1 microsecond' END
 WHERE id = $3 AND ($1::boolean OR tenant = $2) AND updated_at = $4 AND NOT declared
RETURNING secret
