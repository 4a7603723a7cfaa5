-- A backlog as host apps leave it: so many events, so many of them in each transaction, of 100,000 users in no order.
SET synchronous_commit = off;

CREATE OR REPLACE PROCEDURE pg_temp.commit_backlog(events integer, batch integer, event_type text, data text)
  LANGUAGE plpgsql
  AS $$
  DECLARE
    payload json := data::json;
  BEGIN
    FOR at IN 1..events BY batch LOOP
      INSERT INTO outbox.events (type, user_id, payload)
      SELECT event_type, (n::bigint * 7919 % 100000)::text, payload FROM generate_series(at, least(at + batch - 1, events)) AS n;
      COMMIT;
    END LOOP;
  END
  $$;
