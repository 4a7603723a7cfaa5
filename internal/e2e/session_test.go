package e2e

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// alterDatabase changes what sessions of a database begin with, from the next one on.
func alterDatabase(t *testing.T, db *pgxpool.Pool, setting string) {
	t.Helper()
	pgtest.Execute(t, db, "ALTER DATABASE "+pgtest.Value[string](t, db, `SELECT current_database()`)+" SET "+setting)
}

// Where transactions are serializable by default, the relay's own are not: they would be refused now and then, and the stream end.
func TestWhereTransactionsAreSerializable(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r, gone := pgtest.Pool(t, url), receiver.New(t, nil), receiver.New(t, nil)
	alterDatabase(t, db, "default_transaction_isolation = serializable")
	subscribe(t, db, r, "*")
	subscribe(t, db, gone, "user.*")
	gone.Down()
	settings := append(naming(url, slot), "RELAY_DELIVERY_RETRY_BASE=200ms", "RELAY_DELIVERY_RETRY_UNIT=0s", "RELAY_RETENTION=1h")
	relay := start(t, url, slot, settings...)
	w := write(url+"&default_transaction_isolation=read%20committed", 500)
	await(t, "load", func() bool { return r.Len() > 1000 })
	gone.Up()
	await(t, "retries", func() bool { return gone.Len() > 500 })
	w.end(t, db)
	w.account(t, db, r)
	require.NotContains(t, relay.log.String(), "takes no writes")
	require.NotContains(t, relay.log.String(), "could not serialize")
	relay.stop()
}
