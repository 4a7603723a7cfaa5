-- relay: the whole schema, in plain SQL, for PostgreSQL 14 to 18.
--
--   psql -v ON_ERROR_STOP=1 -f schema.sql
--
-- May be run again at any time, also while a host app inserts events: what is there already is left as it is, and no lock
-- taken here on an existing table makes an INSERT wait, unless a column or a check is missing in it, of an earlier version:
-- then it may wait for a tenth of a second. `relay init` and `relay run` run this same file.
--
-- There is no backslash in it: what one means in a string is a setting, here and in every session that calls a function.

BEGIN;
-- Two that run at once: the second must see what the first has made, whatever default_transaction_isolation is.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;

-- An index on a large table takes as long as it takes.
DO $$
BEGIN
  PERFORM set_config(name, '0', true) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout');
END
$$;

-- Two relays that start at once set up one after the other. The number is the ASCII of "relay".
DO $$ BEGIN PERFORM pg_advisory_xact_lock(491496563065); END $$;

-- What waits for a lock on a table, as behind pg_dump, keeps everybody waiting who comes after it, relays and host apps. So
-- it does not wait for long; run the file again then.
DO $$
BEGIN
  IF current_setting('lock_timeout') = '0' THEN
    PERFORM set_config('lock_timeout', '3s', true);
  END IF;
END
$$;

SET LOCAL client_min_messages = warning;

CREATE SCHEMA IF NOT EXISTS outbox;
COMMENT ON SCHEMA outbox IS
  'Transactional outbox: host apps insert events, relay delivers them as webhooks and keeps the log. Schema version 7.';

-- Which functions there are before this file makes those that are missing: see the end.
DO $$
BEGIN
  PERFORM set_config('outbox.functions', coalesce(string_agg(oid::text, ' '), ''), true)
     FROM pg_proc WHERE pronamespace = 'outbox'::regnamespace;
END
$$;


-- Functions that defaults and checks below call ---------------------------------------------------------------------

CREATE OR REPLACE FUNCTION outbox.uuid7() RETURNS uuid
  LANGUAGE sql VOLATILE PARALLEL SAFE
  AS $$
    -- RFC 9562 section 5.7: 48 bits of Unix milliseconds over a random UUID (version 4, whose nibble 0100 becomes 0111).
    SELECT encode(
      set_bit(set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          PLACING substring(pg_catalog.int8send(
            floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
          FROM 1 FOR 6),
        52, 1), 53, 1),
      'hex')::uuid
  $$;
COMMENT ON FUNCTION outbox.uuid7() IS
  'A new time-ordered UUID (version 7, RFC 9562): the default id of an event and of a subscription.';

CREATE OR REPLACE FUNCTION outbox.delivery_id(event uuid, subscription uuid) RETURNS uuid
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  AS $$
    -- The event's first 48 bits (its time, so that the log stays in order), then SHA-256 of event and subscription;
    -- marked as version 8 (RFC 9562 section 5.8). The relay computes the same in Go: keep the two alike.
    SELECT encode(
      set_byte(set_byte(
        substring(uuid_send(event) FROM 1 FOR 6) || substring(h FROM 1 FOR 10),
        6, (get_byte(h, 0) & 15) | 128),
        8, (get_byte(h, 2) & 63) | 128),
      'hex')::uuid
    FROM (SELECT pg_catalog.sha256(uuid_send(event) || uuid_send(subscription))) AS d(h)
  $$;
COMMENT ON FUNCTION outbox.delivery_id(uuid, uuid) IS
  'The id of the delivery of an event to a subscription. Derived, so that the same delivery can never be recorded twice.';

CREATE OR REPLACE FUNCTION outbox.new_secret() RETURNS text
  LANGUAGE sql VOLATILE PARALLEL SAFE
  AS $$
    SELECT 'whsec_' || encode(pg_catalog.sha256(
      uuid_send(gen_random_uuid()) ||
      uuid_send(gen_random_uuid()) ||
      uuid_send(gen_random_uuid())), 'base64')
  $$;
COMMENT ON FUNCTION outbox.new_secret() IS
  'A new signing secret: whsec_ and the base64 of 32 random bytes (Standard Webhooks).';

CREATE OR REPLACE FUNCTION outbox.valid_url(url text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
  AS $$
  DECLARE
    ipv6 text := substring(url FROM '^[^:]*://[[]([^]]*)[]]');
  BEGIN
    RETURN url ~* ('^https?://' || -- In the host, [-^ stands for [, the backslash, ] and ^.
             '([^][:cntrl:][:space:]/?#@:%`{|}[-^]+|[[][0-9a-f:]+(([0-9]{1,3}[.]){3}[0-9]{1,3})?[]])' ||              -- host
             '(:(0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?)?' ||     -- port
             '(/([^[:cntrl:][:space:]?#%]|%[0-9a-f]{2})*)?' ||                                                        -- path
             '([?][^[:cntrl:][:space:]#]*)?' ||                                                                       -- query
             '(#([^[:cntrl:][:space:]%]|%[0-9a-f]{2})*)?$')                                                           -- fragment
       AND (ipv6 IS NULL OR family(ipv6::inet) = 6);
  EXCEPTION WHEN invalid_text_representation THEN -- not an address
    RETURN false;
  END
  $$;
COMMENT ON FUNCTION outbox.valid_url(text) IS
  'Whether this is a URL to deliver to: http or https, with a host, a port that exists, and no user or password.';

CREATE OR REPLACE FUNCTION outbox.valid_event_types(patterns text[]) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$
    -- One dimension alone: in JSON, and so in Go, others are lists of lists.
    SELECT cardinality(patterns) > 0 AND array_ndims(patterns) = 1 AND bool_and(
             p IS NOT NULL AND p ~ '^([*]|[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*([.][*])?)$')
      FROM unnest(patterns) AS p
  $$;
COMMENT ON FUNCTION outbox.valid_event_types(text[]) IS
  'Whether every item is an event type (user.invited), everything under a name (user.*) or everything (*).';

CREATE OR REPLACE FUNCTION outbox.valid_secret(secret text) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
  AS $$
  BEGIN
    RETURN secret ~ '^whsec_[A-Za-z0-9+/]+={0,2}$'
       AND length(decode(substr(secret, 7), 'base64')) BETWEEN 24 AND 64;
  EXCEPTION WHEN invalid_parameter_value THEN -- not base64
    RETURN false;
  END
  $$;
COMMENT ON FUNCTION outbox.valid_secret(text) IS
  'Whether a signing secret is whsec_ and the base64 of 24 to 64 bytes (Standard Webhooks).';

CREATE OR REPLACE FUNCTION outbox.valid_headers(headers json) RETURNS boolean
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
  AS $$
  BEGIN
    -- Names are RFC 9110 tokens, values have no control characters; what HTTP and the signature need is not to be replaced.
    RETURN json_typeof(headers) = 'object' AND NOT EXISTS (
      SELECT FROM json_each(headers) AS h(name, value)
       WHERE h.name !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]+$'
          OR json_typeof(h.value) <> 'string'
          OR (h.value #>> '{}') ~ ('[' || chr(1) || '-' || chr(8) || chr(10) || '-' || chr(31) || chr(127) || ']')
          OR lower(h.name) IN ('host', 'content-length', 'content-type', 'transfer-encoding', 'connection',
               'upgrade', 'te', 'trailer', 'expect', 'keep-alive', 'user-agent', 'accept-encoding', 'idempotency-key',
               'x-idempotency-key', 'webhook-id', 'webhook-timestamp', 'webhook-signature'));
  EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN -- an escape of U+0000, or the like
    RETURN false;
  END
  $$;
COMMENT ON FUNCTION outbox.valid_headers(json) IS
  'Whether these are usable extra request headers: a flat JSON object of strings that replaces none of the relay''s own.';


-- Events: host apps INSERT here -------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS outbox.events (
  id         uuid        NOT NULL DEFAULT outbox.uuid7(),
  type       text        NOT NULL,
  tenant     text        NOT NULL DEFAULT 'default',
  user_id    text,
  payload    json        NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  traceparent text,

  CONSTRAINT events_pkey PRIMARY KEY (id),
  CONSTRAINT events_type_check CHECK (type ~ '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$'),
  CONSTRAINT events_tenant_check CHECK (octet_length(tenant) <= 2000), -- the log's indexes take no more than 2,700
  CONSTRAINT events_user_id_check CHECK (octet_length(user_id) <= 2000),
  CONSTRAINT events_created_at_check CHECK (created_at >= '0001-01-01 00:00:00+00' AND created_at < '10000-01-01 00:00:00+00')
);
COMMENT ON TABLE outbox.events IS
  'What happened. Host apps INSERT here, in the transaction that makes it true; once committed it is delivered to every matching subscription.';
COMMENT ON COLUMN outbox.events.id IS 'Sent as webhook-id. Time-ordered by default; the host app may give its own.';
COMMENT ON COLUMN outbox.events.type IS 'Dotted name such as user.invited: letters, digits, _ and -, with dots between.';
COMMENT ON COLUMN outbox.events.tenant IS 'Whose subscriptions receive it: a project, an account. At most 2,000 bytes.';
COMMENT ON COLUMN outbox.events.user_id IS 'The user it is about, if any: the key of the per-user log. At most 2,000 bytes.';
COMMENT ON COLUMN outbox.events.payload IS 'Sent byte for byte as written.';
COMMENT ON COLUMN outbox.events.created_at IS 'When it happened; the timestamp of the envelope. Default: the start of the transaction.';


-- Subscriptions: who receives ---------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS outbox.subscriptions (
  id          uuid        NOT NULL DEFAULT outbox.uuid7(),
  tenant      text        NOT NULL DEFAULT 'default',
  name        text,
  url         text        NOT NULL,
  event_types text[]      NOT NULL,
  secret      text        NOT NULL DEFAULT outbox.new_secret(),
  headers     json        NOT NULL DEFAULT '{}',
  active      boolean     NOT NULL DEFAULT true,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  previous_secret            text,
  previous_secret_expires_at timestamptz,
  declared        boolean NOT NULL DEFAULT false,
  disabled_at     timestamptz,
  disabled_reason text,
  rate        double precision,
  concurrency integer,
  timeout     interval,

  CONSTRAINT subscriptions_pkey PRIMARY KEY (id),
  CONSTRAINT subscriptions_name_key UNIQUE (tenant, name),
  CONSTRAINT subscriptions_tenant_check CHECK (octet_length(tenant) <= 2000), -- as of an event
  CONSTRAINT subscriptions_name_check CHECK (name <> ''),
  CONSTRAINT subscriptions_url_check CHECK (outbox.valid_url(url)),
  CONSTRAINT subscriptions_event_types_check CHECK (outbox.valid_event_types(event_types)),
  CONSTRAINT subscriptions_secret_check CHECK (outbox.valid_secret(secret)),
  CONSTRAINT subscriptions_previous_secret_check CHECK (outbox.valid_secret(previous_secret)),
  CONSTRAINT subscriptions_headers_check CHECK (outbox.valid_headers(headers)),
  CONSTRAINT subscriptions_rate_check CHECK (rate BETWEEN 0.001 AND 100000),
  CONSTRAINT subscriptions_concurrency_check CHECK (concurrency BETWEEN 1 AND 10000),
  CONSTRAINT subscriptions_timeout_check CHECK (timeout > '0' AND timeout <= '1 hour'),
  CONSTRAINT subscriptions_times_check CHECK ( -- What Go and JSON can express; infinity is not.
    least(created_at, updated_at, previous_secret_expires_at, disabled_at) >= '0001-01-01 00:00:00+00' AND
    greatest(created_at, updated_at, previous_secret_expires_at, disabled_at) < '10000-01-01 00:00:00+00')
);
COMMENT ON TABLE outbox.subscriptions IS
  'Who receives which events. Write it with plain SQL, the relay''s command line, its console or relay.yaml; a change takes effect in commit order with the events.';
COMMENT ON COLUMN outbox.subscriptions.id IS 'Given by default.';
COMMENT ON COLUMN outbox.subscriptions.tenant IS 'Receives the events of this tenant alone.';
COMMENT ON COLUMN outbox.subscriptions.name IS 'Unique per tenant where given.';
COMMENT ON COLUMN outbox.subscriptions.url IS 'Where events are POSTed: http or https, no user or password.';
COMMENT ON COLUMN outbox.subscriptions.event_types IS 'user.invited, user.* (everything under user.) or * (everything).';
COMMENT ON COLUMN outbox.subscriptions.secret IS 'Signs each request: whsec_ and base64 of 24 to 64 bytes. Random by default.';
COMMENT ON COLUMN outbox.subscriptions.headers IS 'Extra request headers, {"name": "value"}; they cannot replace the relay''s own.';
COMMENT ON COLUMN outbox.subscriptions.active IS 'false: receives nothing. Switching off cancels what has not been sent yet.';
COMMENT ON COLUMN outbox.subscriptions.created_at IS 'When it was made.';
COMMENT ON COLUMN outbox.subscriptions.updated_at IS 'When it was last changed; kept by a trigger.';
COMMENT ON COLUMN outbox.subscriptions.previous_secret IS 'While a secret is being rotated: the old one, which signs as well until it expires.';
COMMENT ON COLUMN outbox.subscriptions.previous_secret_expires_at IS 'Until when the previous secret signs; NULL with a previous secret: for ever.';
COMMENT ON COLUMN outbox.subscriptions.declared IS 'true: kept by relay.yaml, which wins over edits at each start.';
COMMENT ON COLUMN outbox.subscriptions.disabled_at IS 'When it was switched off; kept by a trigger.';
COMMENT ON COLUMN outbox.subscriptions.disabled_reason IS 'Why it was switched off, where the relay did it.';


-- The journal of subscription changes, which the relay reads in commit order with the events ---------------------------

CREATE TABLE IF NOT EXISTS outbox.subscription_changes (
  id              bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
  subscription_id uuid        NOT NULL,
  subscription    json,
  changed_at      timestamptz NOT NULL DEFAULT now(),
  commit_lsn      pg_lsn,

  CONSTRAINT subscription_changes_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE outbox.subscription_changes IS
  'Every change of a subscription, written by a trigger. The relay reads it in the same stream as the events, so that an event goes to the subscriptions as they were when it was committed. Old rows are removed by the relay.';
COMMENT ON COLUMN outbox.subscription_changes.id IS 'In order of writing.';
COMMENT ON COLUMN outbox.subscription_changes.subscription_id IS 'The subscription that changed.';
COMMENT ON COLUMN outbox.subscription_changes.subscription IS 'The row after the change, and its timeout in microseconds; NULL: it was deleted.';
COMMENT ON COLUMN outbox.subscription_changes.changed_at IS 'When.';
COMMENT ON COLUMN outbox.subscription_changes.commit_lsn IS 'The commit''s position in the WAL, set by the relay once it has read the change; NULL: still to be read.';

CREATE OR REPLACE FUNCTION outbox.touch_subscription() RETURNS trigger
  LANGUAGE plpgsql
  AS $$
  BEGIN
    NEW.updated_at := now();
    IF NEW.active THEN
      NEW.disabled_at := NULL;
      NEW.disabled_reason := NULL;
    ELSIF OLD.active THEN
      NEW.disabled_at := now();
    END IF;
    RETURN NEW;
  END
  $$;
COMMENT ON FUNCTION outbox.touch_subscription() IS 'Trigger: keeps updated_at, disabled_at and disabled_reason.';

-- SECURITY DEFINER: who may write subscriptions needs no right on the journal.
CREATE OR REPLACE FUNCTION outbox.journal_subscription() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET timezone = 'UTC' -- Times in JSON are RFC 3339: some zones had offsets with seconds.
  AS $$
  BEGIN
    IF TG_OP = 'TRUNCATE' THEN
      INSERT INTO outbox.subscription_changes (subscription_id) SELECT s.id FROM outbox.subscriptions AS s;
      RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.id <> NEW.id) THEN
      INSERT INTO outbox.subscription_changes (subscription_id) VALUES (OLD.id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
      INSERT INTO outbox.subscription_changes (subscription_id, subscription)
        SELECT NEW.id, row_to_json(s)
          FROM (SELECT NEW.*, (extract(epoch FROM NEW.timeout) * 1000000)::bigint AS timeout_us) AS s;
    END IF;
    RETURN NULL;
  END
  $$;
COMMENT ON FUNCTION outbox.journal_subscription() IS 'Trigger: writes outbox.subscription_changes.';
-- Whoever could tie it to a table of their own could write any subscription into the journal.
REVOKE EXECUTE ON FUNCTION outbox.journal_subscription() FROM PUBLIC;


-- The catalogue of event types -----------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS outbox.event_types (
  type        text        NOT NULL,
  description text        NOT NULL DEFAULT '',
  sample      json        NOT NULL,
  schema      json,
  declared    boolean     NOT NULL DEFAULT false,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT event_types_pkey PRIMARY KEY (type),
  CONSTRAINT event_types_type_check CHECK (type ~ '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$')
);
COMMENT ON TABLE outbox.event_types IS
  'The catalogue: what a test sends and the documentation shows. An event of a type that is not in it is delivered all the same.';
COMMENT ON COLUMN outbox.event_types.type IS 'The event type, such as user.invited.';
COMMENT ON COLUMN outbox.event_types.description IS 'What happened, in words.';
COMMENT ON COLUMN outbox.event_types.sample IS 'A sample payload; a test sends it byte for byte.';
COMMENT ON COLUMN outbox.event_types.schema IS 'JSON Schema of the payload, where there is one.';
COMMENT ON COLUMN outbox.event_types.declared IS 'true: kept by relay.yaml, which wins over edits at each start.';
COMMENT ON COLUMN outbox.event_types.created_at IS 'When it was added.';
COMMENT ON COLUMN outbox.event_types.updated_at IS 'When it was last changed by relay.yaml.';


-- Deliveries and attempts: written by the relay alone -----------------------------------------------------------------

CREATE TABLE IF NOT EXISTS outbox.deliveries (
  id               uuid        NOT NULL,
  event_id         uuid        NOT NULL,
  subscription_id  uuid        NOT NULL,
  event_created_at timestamptz NOT NULL,
  due_at           timestamptz,
  last_attempt_at  timestamptz,
  next_attempt_at  timestamptz,
  finished_at      timestamptz,
  lease            uuid,
  replay_of        uuid,
  attempts         integer     NOT NULL DEFAULT 0,
  response_code    integer,
  status           text        NOT NULL,
  event_type       text        NOT NULL,
  tenant           text        NOT NULL,
  user_id          text,
  url              text        NOT NULL,
  error_class      text,
  error            text,

  CONSTRAINT deliveries_pkey PRIMARY KEY (id),
  CONSTRAINT deliveries_status_check
    CHECK (status IN ('pending', 'retrying', 'accepted', 'rejected', 'failed', 'cancelled')),
  CONSTRAINT deliveries_due_check CHECK ((status IN ('pending', 'retrying')) = (due_at IS NOT NULL))
);
COMMENT ON TABLE outbox.deliveries IS
  'One row a delivery: an event to a subscription. Written by the relay alone; outbox.delivery_log is the view to query.';
COMMENT ON COLUMN outbox.deliveries.id IS 'outbox.delivery_id(event, subscription); of a replay: a new UUID.';
COMMENT ON COLUMN outbox.deliveries.event_id IS 'The event, in outbox.events.';
COMMENT ON COLUMN outbox.deliveries.subscription_id IS 'The subscription, which may have been deleted since.';
COMMENT ON COLUMN outbox.deliveries.event_created_at IS 'The event''s created_at.';
COMMENT ON COLUMN outbox.deliveries.due_at IS 'When the relay takes it up (again): the next attempt, or the end of the lease of whoever has it in hand. NULL once finished.';
COMMENT ON COLUMN outbox.deliveries.last_attempt_at IS 'When the last attempt ended.';
COMMENT ON COLUMN outbox.deliveries.next_attempt_at IS 'When the next attempt comes, while retrying.';
COMMENT ON COLUMN outbox.deliveries.finished_at IS 'When it became accepted, rejected, failed or cancelled.';
COMMENT ON COLUMN outbox.deliveries.lease IS 'The token of the worker that has it in hand: an outcome is written only by who holds it.';
COMMENT ON COLUMN outbox.deliveries.replay_of IS 'The delivery that this one replays.';
COMMENT ON COLUMN outbox.deliveries.attempts IS 'Attempts made so far.';
COMMENT ON COLUMN outbox.deliveries.response_code IS 'HTTP status code of the last attempt; NULL where there was no answer.';
COMMENT ON COLUMN outbox.deliveries.status IS 'pending, retrying, accepted, rejected, failed or cancelled.';
COMMENT ON COLUMN outbox.deliveries.event_type IS 'The event''s type.';
COMMENT ON COLUMN outbox.deliveries.tenant IS 'The event''s tenant.';
COMMENT ON COLUMN outbox.deliveries.user_id IS 'The user that the event is about.';
COMMENT ON COLUMN outbox.deliveries.url IS 'The URL of the last attempt, or where the first will go.';
COMMENT ON COLUMN outbox.deliveries.error_class IS 'Why the last attempt got no answer: dns, connect, tls, timeout, reset, blocked, protocol or other.';
COMMENT ON COLUMN outbox.deliveries.error IS 'The same in words.';

CREATE TABLE IF NOT EXISTS outbox.attempts (
  delivery_id   uuid        NOT NULL,
  started_at    timestamptz NOT NULL,
  attempt       integer     NOT NULL,
  duration_ms   integer     NOT NULL,
  response_code integer,
  error_class   text,
  error         text,
  response_body text,

  CONSTRAINT attempts_pkey PRIMARY KEY (delivery_id, attempt),
  CONSTRAINT attempts_error_class_check
    CHECK (error_class IN ('dns', 'connect', 'tls', 'timeout', 'reset', 'blocked', 'protocol', 'other'))
);
COMMENT ON TABLE outbox.attempts IS 'One row an attempt of a delivery. Written by the relay alone.';
COMMENT ON COLUMN outbox.attempts.delivery_id IS 'The delivery, in outbox.deliveries.';
COMMENT ON COLUMN outbox.attempts.started_at IS 'When the request began, on the database''s clock.';
COMMENT ON COLUMN outbox.attempts.attempt IS '1 for the first, 2 for the first retry, ...';
COMMENT ON COLUMN outbox.attempts.duration_ms IS 'Milliseconds until the status line and headers had arrived, or until it was given up.';
COMMENT ON COLUMN outbox.attempts.response_code IS 'HTTP status code; NULL where there was no answer.';
COMMENT ON COLUMN outbox.attempts.error_class IS 'Why there was no answer: dns, connect, tls, timeout, reset, blocked, protocol or other.';
COMMENT ON COLUMN outbox.attempts.error IS 'The same in words.';
COMMENT ON COLUMN outbox.attempts.response_body IS 'The first KiB of the answer, made valid text.';


-- What the relay must remember ----------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS outbox.relay_state (
  slot              text        NOT NULL,
  system_identifier text        NOT NULL,
  database_oid      oid         NOT NULL,
  publication_oid   oid         NOT NULL,
  scanned_lsn       pg_lsn      NOT NULL,
  confirmed_lsn     pg_lsn      NOT NULL,
  updated_at        timestamptz NOT NULL DEFAULT now(),
  read_lsn          pg_lsn,
  publication_version text,

  CONSTRAINT relay_state_pkey PRIMARY KEY (slot)
);
COMMENT ON TABLE outbox.relay_state IS
  'One row a replication slot. Its presence says that the outbox was scanned when the slot was made; without it the relay makes the slot anew.';
COMMENT ON COLUMN outbox.relay_state.slot IS 'The slot''s name.';
COMMENT ON COLUMN outbox.relay_state.system_identifier IS 'The cluster that the slot was made on.';
COMMENT ON COLUMN outbox.relay_state.database_oid IS 'The database that the slot was made in.';
COMMENT ON COLUMN outbox.relay_state.publication_oid IS 'The publication as it was then: one made anew needs a new slot.';
COMMENT ON COLUMN outbox.relay_state.scanned_lsn IS 'The slot''s first consistent point: events committed before it were found by the scan.';
COMMENT ON COLUMN outbox.relay_state.confirmed_lsn IS 'The relay has confirmed no later position: a slot beyond it was made by somebody else.';
COMMENT ON COLUMN outbox.relay_state.updated_at IS 'When this row was last written.';

CREATE TABLE IF NOT EXISTS outbox.relay_home (
  single            boolean     NOT NULL DEFAULT true,
  system_identifier text        NOT NULL,
  database_oid      oid         NOT NULL,
  adopted_at        timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT relay_home_pkey PRIMARY KEY (single),
  CONSTRAINT relay_home_single_check CHECK (single)
);
COMMENT ON TABLE outbox.relay_home IS
  'The database that the relay was set up for: one row. In any other, a copy or a restore, it sends nothing until `relay adopt`.';
COMMENT ON COLUMN outbox.relay_home.single IS 'true: there is one row.';
COMMENT ON COLUMN outbox.relay_home.system_identifier IS 'The cluster, as pg_control_system() names it.';
COMMENT ON COLUMN outbox.relay_home.database_oid IS 'The database in it.';
COMMENT ON COLUMN outbox.relay_home.adopted_at IS 'When it was set up, or last adopted.';

-- Unlogged: worth nothing after a crash, and written every few seconds.
CREATE UNLOGGED TABLE IF NOT EXISTS outbox.relays (
  id         uuid        NOT NULL,
  host       text        NOT NULL,
  pid        integer     NOT NULL,
  version    text        NOT NULL,
  slot       text        NOT NULL,
  started_at timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL,
  leads      boolean     NOT NULL,
  ready      boolean     NOT NULL,
  state      text        NOT NULL,
  in_flight  integer     NOT NULL,

  CONSTRAINT relays_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE outbox.relays IS 'The relays that run, each of which renews its row every few seconds; `relay status` shows them.';
COMMENT ON COLUMN outbox.relays.id IS 'Of the process; new at each start.';
COMMENT ON COLUMN outbox.relays.host IS 'Where it runs.';
COMMENT ON COLUMN outbox.relays.pid IS 'Its process id there.';
COMMENT ON COLUMN outbox.relays.version IS 'The relay''s version.';
COMMENT ON COLUMN outbox.relays.slot IS 'The replication slot that it reads or stands by for.';
COMMENT ON COLUMN outbox.relays.started_at IS 'When it started.';
COMMENT ON COLUMN outbox.relays.seen_at IS 'When it last renewed this row: one of half a minute ago is gone.';
COMMENT ON COLUMN outbox.relays.leads IS 'Whether it reads the stream.';
COMMENT ON COLUMN outbox.relays.ready IS 'What /readyz says.';
COMMENT ON COLUMN outbox.relays.state IS 'The same in words.';
COMMENT ON COLUMN outbox.relays.in_flight IS 'Requests in flight.';

CREATE TABLE IF NOT EXISTS outbox.relay_stats (
  minute           timestamptz NOT NULL,
  relay_id         uuid        NOT NULL,
  events           bigint      NOT NULL,
  accepted         bigint      NOT NULL,
  rejected         bigint      NOT NULL,
  unreachable      bigint      NOT NULL,
  failed           bigint      NOT NULL,
  answer_counts    bigint[]    NOT NULL,
  delay_counts     bigint[]    NOT NULL,
  pending          bigint,
  retrying         bigint,
  oldest_seconds   double precision,
  slot_lag_bytes   bigint,

  CONSTRAINT relay_stats_pkey PRIMARY KEY (minute, relay_id)
);
COMMENT ON TABLE outbox.relay_stats IS 'What each relay did in each minute, kept for two days: for `relay status` and the console.';
COMMENT ON COLUMN outbox.relay_stats.minute IS 'The minute''s start.';
COMMENT ON COLUMN outbox.relay_stats.relay_id IS 'The process, as in outbox.relays.';
COMMENT ON COLUMN outbox.relay_stats.events IS 'Events read from the stream.';
COMMENT ON COLUMN outbox.relay_stats.accepted IS 'Attempts whose answer was accepted.';
COMMENT ON COLUMN outbox.relay_stats.rejected IS 'Attempts with any other answer.';
COMMENT ON COLUMN outbox.relay_stats.unreachable IS 'Attempts without an answer.';
COMMENT ON COLUMN outbox.relay_stats.failed IS 'Deliveries that failed for good.';
COMMENT ON COLUMN outbox.relay_stats.answer_counts IS
  'Attempts by duration: at most 1, 2, 5, 10, 20, 50, 100, 200, 500 ms, 1, 2, 5, 10, 20 s, and longer.';
COMMENT ON COLUMN outbox.relay_stats.delay_counts IS 'First attempts by the time since the commit, in the same steps.';
COMMENT ON COLUMN outbox.relay_stats.pending IS 'Deliveries that waited as pending; NULL where this relay did not lead.';
COMMENT ON COLUMN outbox.relay_stats.retrying IS 'Deliveries that waited to be tried again; NULL where this relay did not lead.';
COMMENT ON COLUMN outbox.relay_stats.oldest_seconds IS 'How long the oldest pending delivery had been due; NULL where none was.';
COMMENT ON COLUMN outbox.relay_stats.slot_lag_bytes IS 'WAL written since the slot''s confirmed position; NULL where this relay did not lead.';

CREATE TABLE IF NOT EXISTS outbox.subscription_stats (
  subscription_id uuid        NOT NULL,
  hour            timestamptz NOT NULL,
  relay_id        uuid        NOT NULL,
  accepted        bigint      NOT NULL,
  rejected        bigint      NOT NULL,
  unreachable     bigint      NOT NULL,
  failed          bigint      NOT NULL,
  duration_ms     bigint      NOT NULL,

  CONSTRAINT subscription_stats_pkey PRIMARY KEY (subscription_id, hour, relay_id)
);
COMMENT ON TABLE outbox.subscription_stats IS
  'What each relay sent to each subscription in each hour, kept for two days: for `relay status` and the console.';
COMMENT ON COLUMN outbox.subscription_stats.subscription_id IS 'The subscription.';
COMMENT ON COLUMN outbox.subscription_stats.hour IS 'The hour''s start.';
COMMENT ON COLUMN outbox.subscription_stats.relay_id IS 'The process, as in outbox.relays.';
COMMENT ON COLUMN outbox.subscription_stats.accepted IS 'Attempts whose answer was accepted.';
COMMENT ON COLUMN outbox.subscription_stats.rejected IS 'Attempts with any other answer.';
COMMENT ON COLUMN outbox.subscription_stats.unreachable IS 'Attempts without an answer.';
COMMENT ON COLUMN outbox.subscription_stats.failed IS 'Deliveries that failed for good.';
COMMENT ON COLUMN outbox.subscription_stats.duration_ms IS 'What the attempts took together, in milliseconds.';


-- Columns and checks that came later ------------------------------------------------------------------------------------
-- For a schema of an earlier version; added only where missing, since even ADD COLUMN IF NOT EXISTS locks the table. Host
-- apps that insert wait behind whoever waits for that lock, so it is asked for briefly: on a busy table, run the file again.

DO $$
DECLARE
  wanted record;
  patience text := current_setting('lock_timeout');
BEGIN
  PERFORM set_config('lock_timeout', '100ms', true);
  FOR wanted IN SELECT * FROM (VALUES
    ('events', 'traceparent', 'text'),
    ('subscriptions', 'rate', 'double precision CONSTRAINT subscriptions_rate_check CHECK (rate BETWEEN 0.001 AND 100000)'),
    ('subscriptions', 'concurrency', 'integer CONSTRAINT subscriptions_concurrency_check CHECK (concurrency BETWEEN 1 AND 10000)'),
    ('subscriptions', 'timeout', 'interval CONSTRAINT subscriptions_timeout_check CHECK (timeout > ''0'' AND timeout <= ''1 hour'')'),
    ('relay_state', 'read_lsn', 'pg_lsn'),
    ('relay_state', 'publication_version', 'text')
  ) AS w(relation, name, definition)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = format('outbox.%I', wanted.relation)::regclass AND attname = wanted.name) THEN
      EXECUTE format('ALTER TABLE outbox.%I ADD COLUMN %I %s', wanted.relation, wanted.name, wanted.definition);
    END IF;
  END LOOP;

  -- Checks: what was written before stays as it is.
  FOR wanted IN SELECT * FROM (VALUES
    ('events', 'events_tenant_check', 'octet_length(tenant) <= 2000'),
    ('events', 'events_user_id_check', 'octet_length(user_id) <= 2000'),
    ('subscriptions', 'subscriptions_tenant_check', 'octet_length(tenant) <= 2000'),
    ('subscriptions', 'subscriptions_times_check',
     'least(created_at, updated_at, previous_secret_expires_at, disabled_at) >= ''0001-01-01 00:00:00+00'' AND
      greatest(created_at, updated_at, previous_secret_expires_at, disabled_at) < ''10000-01-01 00:00:00+00''')
  ) AS w(relation, name, condition)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = format('outbox.%I', wanted.relation)::regclass AND conname = wanted.name) THEN
      EXECUTE format('ALTER TABLE outbox.%I ADD CONSTRAINT %I CHECK (%s) NOT VALID', wanted.relation, wanted.name, wanted.condition);
    END IF;
  END LOOP;
  PERFORM set_config('lock_timeout', patience, true);
END
$$;

COMMENT ON COLUMN outbox.relay_state.read_lsn IS
  'No relay has read a transaction that was committed here or later; NULL: one is reading, or was killed while it did.';
COMMENT ON COLUMN outbox.relay_state.publication_version IS
  'The publication''s rows in the catalogue as they were then: one altered since, even if it was put back, needs a new slot. NULL: not known.';
COMMENT ON COLUMN outbox.events.traceparent IS 'The trace that it belongs to (W3C Trace Context), sent on as the header traceparent; what is none is not sent.';
COMMENT ON COLUMN outbox.subscriptions.rate IS 'Requests a second at most, evenly spaced; NULL: no limit.';
COMMENT ON COLUMN outbox.subscriptions.concurrency IS 'Requests in flight at most; NULL: delivery.concurrency_per_subscription.';
COMMENT ON COLUMN outbox.subscriptions.timeout IS 'How long its server may take to answer, such as 5s; NULL: delivery.timeout.';


-- Indexes and triggers -------------------------------------------------------------------------------------------------
-- Made only where missing: CREATE INDEX IF NOT EXISTS and CREATE OR REPLACE TRIGGER lock the table even where there is
-- nothing to do, and an INSERT would wait behind that lock.

DO $$
DECLARE
  wanted record;
BEGIN
  FOR wanted IN SELECT * FROM (VALUES
    -- Retention: the oldest events. Not BRIN: new rows take the place of removed ones, and its ranges only widen.
    ('events_created_at_idx',
     'CREATE INDEX events_created_at_idx ON outbox.events (created_at)'),
    -- What is due, by subscription: finished deliveries are not in it, so it stays small.
    ('deliveries_due_idx',
     'CREATE INDEX deliveries_due_idx ON outbox.deliveries (subscription_id, due_at) WHERE due_at IS NOT NULL'),
    -- Retention: whether an event still has an unfinished delivery.
    ('deliveries_unfinished_event_idx',
     'CREATE INDEX deliveries_unfinished_event_idx ON outbox.deliveries (event_id) WHERE due_at IS NOT NULL'),
    -- The log of a user.
    ('deliveries_user_idx',
     'CREATE INDEX deliveries_user_idx ON outbox.deliveries (user_id, event_created_at) WHERE user_id IS NOT NULL'),
    -- The log, newest first, a page at a time; and retention.
    ('deliveries_log_idx',
     'CREATE INDEX deliveries_log_idx ON outbox.deliveries (event_created_at, id)'),
    -- The log of what did not go well: few, mostly.
    ('deliveries_not_accepted_idx',
     'CREATE INDEX deliveries_not_accepted_idx ON outbox.deliveries (event_created_at, id) WHERE status <> ''accepted'''),
    -- The log of a subscription, and replays of a time.
    ('deliveries_subscription_idx',
     'CREATE INDEX deliveries_subscription_idx ON outbox.deliveries (subscription_id, event_created_at, id)'),
    -- The log of a tenant, where there are tenants.
    ('deliveries_tenant_idx',
     'CREATE INDEX deliveries_tenant_idx ON outbox.deliveries (tenant, event_created_at, id) WHERE tenant <> ''default'''),
    -- Whether a delivery was replayed: few, mostly.
    ('deliveries_replay_of_idx',
     'CREATE INDEX deliveries_replay_of_idx ON outbox.deliveries (replay_of) WHERE replay_of IS NOT NULL'),
    -- Changes that the relay has not read yet.
    ('subscription_changes_unread_idx',
     'CREATE INDEX subscription_changes_unread_idx ON outbox.subscription_changes (id) WHERE commit_lsn IS NULL')
  ) AS w(name, statement)
  LOOP
    IF to_regclass('outbox.' || wanted.name) IS NULL THEN
      EXECUTE wanted.statement;
    END IF;
  END LOOP;

  -- Retention removes old rows all the time: with VACUUM at a twentieth of the rows, not a fifth, the room of removed ones is
  -- used again sooner and tables stay smaller. What somebody has set is kept.
  FOR wanted IN SELECT * FROM (VALUES ('events'), ('deliveries'), ('attempts')) AS w(name)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_class AS c, unnest(c.reloptions) AS o
                    WHERE c.oid = format('outbox.%I', wanted.name)::regclass AND o LIKE 'autovacuum_vacuum_scale_factor=%') THEN
      EXECUTE format('ALTER TABLE outbox.%I SET (autovacuum_vacuum_scale_factor = 0.05)', wanted.name);
    END IF;
  END LOOP;

  FOR wanted IN SELECT * FROM (VALUES
    ('subscriptions_touch',
     'CREATE TRIGGER subscriptions_touch BEFORE UPDATE ON outbox.subscriptions
        FOR EACH ROW EXECUTE FUNCTION outbox.touch_subscription()'),
    ('subscriptions_journal',
     'CREATE TRIGGER subscriptions_journal AFTER INSERT OR UPDATE OR DELETE ON outbox.subscriptions
        FOR EACH ROW EXECUTE FUNCTION outbox.journal_subscription()'),
    ('subscriptions_journal_truncate',
     'CREATE TRIGGER subscriptions_journal_truncate BEFORE TRUNCATE ON outbox.subscriptions
        FOR EACH STATEMENT EXECUTE FUNCTION outbox.journal_subscription()')
  ) AS w(name, statement)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = 'outbox.subscriptions'::regclass AND tgname = wanted.name) THEN
      EXECUTE wanted.statement;
    END IF;
  END LOOP;
END
$$;


-- The view to query, and the functions to call -----------------------------------------------------------------------

DO $$
BEGIN
  -- Replacing a view locks it against readers; so only where it is missing.
  IF to_regclass('outbox.delivery_log') IS NULL THEN
    CREATE VIEW outbox.delivery_log AS
      SELECT d.id AS delivery_id, d.event_id, d.event_type, d.tenant, d.user_id, d.subscription_id, d.url, d.status,
             d.attempts, d.response_code, d.error, d.event_created_at AS created_at, d.last_attempt_at,
             d.next_attempt_at, d.finished_at, e.payload, d.error_class, d.replay_of
        FROM outbox.deliveries AS d
        LEFT JOIN outbox.events AS e ON e.id = d.event_id;
  END IF;
END
$$;
COMMENT ON VIEW outbox.delivery_log IS
  'Everything that was sent, or is to be sent: one row a delivery. WHERE user_id = ... ORDER BY created_at DESC uses an index.';
COMMENT ON COLUMN outbox.delivery_log.delivery_id IS 'The delivery; outbox.attempts has its attempts.';
COMMENT ON COLUMN outbox.delivery_log.event_id IS 'The event; what the receiver sees as webhook-id.';
COMMENT ON COLUMN outbox.delivery_log.event_type IS 'The event''s type.';
COMMENT ON COLUMN outbox.delivery_log.tenant IS 'The event''s tenant.';
COMMENT ON COLUMN outbox.delivery_log.user_id IS 'The user that the event is about.';
COMMENT ON COLUMN outbox.delivery_log.subscription_id IS 'The subscription, which may have been deleted since.';
COMMENT ON COLUMN outbox.delivery_log.url IS 'The URL of the last attempt, or where the first will go.';
COMMENT ON COLUMN outbox.delivery_log.status IS 'pending, retrying, accepted, rejected, failed or cancelled.';
COMMENT ON COLUMN outbox.delivery_log.attempts IS 'Attempts made so far.';
COMMENT ON COLUMN outbox.delivery_log.response_code IS 'HTTP status code of the last attempt; NULL where there was no answer.';
COMMENT ON COLUMN outbox.delivery_log.error IS 'Why the last attempt got no answer.';
COMMENT ON COLUMN outbox.delivery_log.created_at IS 'When the event happened.';
COMMENT ON COLUMN outbox.delivery_log.last_attempt_at IS 'When the last attempt ended.';
COMMENT ON COLUMN outbox.delivery_log.next_attempt_at IS 'When the next attempt comes, while retrying.';
COMMENT ON COLUMN outbox.delivery_log.finished_at IS 'When it became accepted, rejected, failed or cancelled.';
COMMENT ON COLUMN outbox.delivery_log.payload IS 'What the host app wrote.';
COMMENT ON COLUMN outbox.delivery_log.error_class IS 'The kind of error: dns, connect, tls, timeout, reset, blocked, protocol or other.';
COMMENT ON COLUMN outbox.delivery_log.replay_of IS 'The delivery that this one replays.';

CREATE OR REPLACE FUNCTION outbox.emit(
  type text, payload json, user_id text DEFAULT NULL, tenant text DEFAULT 'default'
) RETURNS uuid
  LANGUAGE plpgsql VOLATILE
  AS $$
  #variable_conflict use_column
  DECLARE
    event_id uuid := outbox.uuid7(); -- not by RETURNING, which would need the right to SELECT
  BEGIN
    INSERT INTO outbox.events (id, type, payload, user_id, tenant) VALUES (event_id, $1, $2, $3, coalesce($4, 'default'));
    RETURN event_id;
  END
  $$;
COMMENT ON FUNCTION outbox.emit(text, json, text, text) IS
  'Writes an event to the outbox in the caller''s transaction and returns its id. Needs INSERT on outbox.events, no more. A payload of type jsonb needs a cast: payload::json.';

CREATE OR REPLACE FUNCTION outbox.replay(delivery_id uuid) RETURNS uuid
  LANGUAGE plpgsql VOLATILE
  AS $$
  #variable_conflict use_column
  DECLARE
    new_id uuid;
  BEGIN
    INSERT INTO outbox.deliveries
      (id, event_id, subscription_id, event_created_at, due_at, replay_of, status, event_type, tenant, user_id, url)
    SELECT outbox.uuid7(), d.event_id, d.subscription_id, d.event_created_at, clock_timestamp(), d.id, 'pending',
           d.event_type, d.tenant, d.user_id, coalesce(s.url, d.url)
      FROM outbox.deliveries AS d
      JOIN outbox.events AS e ON e.id = d.event_id
      LEFT JOIN outbox.subscriptions AS s ON s.id = d.subscription_id
     WHERE d.id = $1
    RETURNING id INTO new_id;
    IF new_id IS NULL THEN
      RAISE EXCEPTION 'no delivery % to replay', $1
        USING ERRCODE = 'no_data_found',
              HINT = 'It does not exist, or its event was removed: of such ones, outbox.delivery_log has no payload.';
    END IF;
    RETURN new_id;
  END
  $$;
COMMENT ON FUNCTION outbox.replay(uuid) IS
  'A new delivery of the same event to the same subscription, due now; returns its id. The old one stays as it is.';

-- A right on a table is all that anybody needs besides USAGE on the schema: defaults and checks call functions in the name of
-- who writes, and all but the journal's run with their caller's rights. PUBLIC may call a new function, unless default
-- privileges take that away (ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC); then it is granted here. Only
-- on those that this file has just made: what an operator has revoked since stays revoked.
DO $$
DECLARE
  made record;
BEGIN
  FOR made IN SELECT p.oid::regprocedure AS function FROM pg_proc AS p
    WHERE p.pronamespace = 'outbox'::regnamespace AND p.prorettype <> 'trigger'::regtype -- a trigger needs no right to run
      AND p.oid::text <> ALL (string_to_array(current_setting('outbox.functions'), ' '))
      AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', made.function);
  END LOOP;
END
$$;

COMMIT;
