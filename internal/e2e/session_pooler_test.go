//go:build pgbouncer

package e2e

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// Through a pooler that shares connections the relay has the settings that it needs, and nobody else finds any changed.
func TestPgBouncerAndSettingsOfTheDatabase(t *testing.T) {
	direct, slot := encoded(t, "SQL_ASCII"), pgtest.Slot(t)
	db := pgtest.Pool(t, direct+"&client_encoding=SQL_ASCII")
	alterDatabase(t, db, "default_transaction_isolation = serializable")
	alterDatabase(t, db, "standard_conforming_strings = off")
	pooled := pgtest.PgBouncer(t, direct)
	settings := append(naming(pooled, slot), "RELAY_DATABASE_REPLICATION_URL="+direct)
	out, code := command(t, settings, "init")
	require.Zero(t, code, out)
	out, code = command(t, settings, "check")
	require.Zero(t, code, out)
	r := receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, pooled, slot, settings...)

	// Another client comes and goes on the same few connections meanwhile.
	others := pgtest.Pool(t, pooled+"&default_query_exec_mode=exec&client_encoding=UTF8")
	const want = "serializable off UTF8"
	const has = `SELECT concat_ws(' ', current_setting('default_transaction_isolation'), current_setting('standard_conforming_strings'),
		current_setting('client_encoding'))`
	const payload, events = "{\"name\": \"Zo\xeb\"}", 200
	for range events {
		pgtest.Execute(t, db, `SELECT outbox.emit('a', $1, $2)`, payload, "zo\xeb")
		require.Equal(t, want, pgtest.Value[string](t, others, has))
	}
	await(t, "recorded", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.delivery_log WHERE status = 'accepted' AND user_id = $1`, "zo\xeb") == events
	})
	for _, request := range r.Requests() {
		require.True(t, bytes.HasSuffix(request.Body, []byte(`"data":`+payload+`}`)), "%q", request.Body)
	}
	relay.stop()
}
