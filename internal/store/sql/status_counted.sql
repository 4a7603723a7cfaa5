-- What the leading relay last counted as waiting, where that is no older than some minutes.
SELECT pending, retrying FROM outbox.relay_stats
 WHERE pending IS NOT NULL AND minute > now() - interval '5 minutes'
 ORDER BY minute DESC LIMIT 1
