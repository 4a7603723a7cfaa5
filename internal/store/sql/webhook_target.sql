-- What a test of a subscription needs: where it goes and how it is signed.
SELECT url, secret, CASE WHEN coalesce(previous_secret_expires_at > now(), true) THEN coalesce(previous_secret, '') ELSE '' END,
       headers
  FROM outbox.subscriptions
 WHERE id = $3 AND ($1::boolean OR tenant = $2)
