package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// While relays are upgraded one after the other, an old one that starts again must not turn the schema back.
func TestALaterSchemaIsLeftAlone(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	const later = "Transactional outbox. Schema version 999."
	execute(t, db, `COMMENT ON SCHEMA outbox IS '`+later+`'`)
	out, code := command(t, naming(url, slot), "init")
	require.Zero(t, code, out)
	start(t, url, slot)
	emit(t, db, "a")
	await(t, "delivered", func() bool { return r.Len() == 1 })
	require.Equal(t, later, value[string](t, db, `SELECT obj_description('outbox'::regnamespace, 'pg_namespace')`))

	execute(t, db, `COMMENT ON SCHEMA outbox IS 'Transactional outbox. Schema version 1.'`)
	start(t, url, slot)
	require.NotContains(t, value[string](t, db, `SELECT obj_description('outbox'::regnamespace, 'pg_namespace')`), "version 1.")
}
