-- Takes away what is added again once the rows are loaded: checks, keys and indexes.
ALTER TABLE outbox.events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_type_check;
ALTER TABLE outbox.deliveries DROP CONSTRAINT deliveries_pkey;
ALTER TABLE outbox.attempts DROP CONSTRAINT attempts_pkey;
DO $$
DECLARE
  made name;
BEGIN
  FOR made IN SELECT indexname FROM pg_indexes
               WHERE schemaname = 'outbox' AND tablename IN ('events', 'deliveries', 'attempts') LOOP
    EXECUTE format('DROP INDEX outbox.%I', made);
  END LOOP;
END
$$;
