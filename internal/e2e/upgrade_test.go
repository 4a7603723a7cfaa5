package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// Of a slot made by an earlier version it is not known how the publication was then: it is taken as it is, without a scan.
func TestAnUpgradeKeepsTheSlot(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	start(t, url, slot).stop()
	const scanned = `SELECT scanned_lsn::text FROM outbox.relay_state`
	before := pgtest.Value[string](t, db, scanned)
	pgtest.Execute(t, db, `COMMENT ON SCHEMA outbox IS 'Transactional outbox. Schema version 4.'`)
	pgtest.Execute(t, db, `ALTER TABLE outbox.relay_state DROP COLUMN publication_version`)
	emit(t, db, "a")
	relay := start(t, url, slot)
	await(t, "delivered", func() bool { return r.Len() == 1 })
	require.NotContains(t, relay.log.String(), "anew")
	require.Equal(t, before, pgtest.Value[string](t, db, scanned))
	require.NotEmpty(t, pgtest.Value[string](t, db, `SELECT publication_version FROM outbox.relay_state`))
	relay.stop()

	script(t, url, `ALTER PUBLICATION "SLOT" SET (publish = 'update'); SELECT outbox.emit('b', '1');
		ALTER PUBLICATION "SLOT" SET (publish = 'insert')`, slot)
	relay = start(t, url, slot)
	await(t, "what was not published", func() bool { return r.Len() == 2 })
	require.Contains(t, relay.log.String(), "its publication was altered")
	require.NotEqual(t, before, pgtest.Value[string](t, db, scanned))
}

// While relays are upgraded one after the other, an old one that starts again must not turn the schema back.
func TestALaterSchemaIsLeftAlone(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	const later = "Transactional outbox. Schema version 999."
	pgtest.Execute(t, db, `COMMENT ON SCHEMA outbox IS '`+later+`'`)
	out, code := command(t, naming(url, slot), "init")
	require.Zero(t, code, out)
	start(t, url, slot)
	emit(t, db, "a")
	await(t, "delivered", func() bool { return r.Len() == 1 })
	require.Equal(t, later, pgtest.Value[string](t, db, `SELECT obj_description('outbox'::regnamespace, 'pg_namespace')`))

	pgtest.Execute(t, db, `COMMENT ON SCHEMA outbox IS 'Transactional outbox. Schema version 1.'`)
	start(t, url, slot)
	require.NotContains(t, pgtest.Value[string](t, db, `SELECT obj_description('outbox'::regnamespace, 'pg_namespace')`), "version 1.")
}
