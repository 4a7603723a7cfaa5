package e2e

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/internal/receiver"
)

// twoPhase is a database on a server that takes two-phase commits.
func twoPhase(t *testing.T) (url string, db *pgxpool.Pool, r *receiver.Receiver) {
	t.Helper()
	cluster := pgtest.Private(t, postgres.Options{FsyncOff: true, Settings: map[string]string{"max_prepared_transactions": "10"}})
	require.NoError(t, cluster.CreateDatabase(context.Background(), "app"))
	url = cluster.URL("app")
	pgtest.Migrate(t, url)
	db, r = pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	return url, db, r
}

// prepare prepares a transaction with one event, and returns the event's id.
func prepare(t *testing.T, url, name string) (id string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, `BEGIN`)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(ctx, `SELECT outbox.emit('a', '{"n": 1}', 'u1')::text`).Scan(&id))
	_, err = conn.Exec(ctx, `PREPARE TRANSACTION '`+name+`'`)
	require.NoError(t, err)
	return id
}

// What a prepared transaction holds is sent once it is committed, and not before, whatever becomes of the relay in between.
func TestPreparedTransactions(t *testing.T) {
	url, db, r := twoPhase(t)
	relay := start(t, url, "relay_prepared")
	var committed, rolledBack []string
	arrives := func(id, what string) {
		t.Helper()
		await(t, what, func() bool { // And is recorded, so that a kill makes none come twice.
			return pgtest.Value[bool](t, db, `SELECT EXISTS (SELECT FROM outbox.deliveries WHERE event_id = $1::uuid AND status = 'accepted')`, id)
		})
		committed = append(committed, id)
	}
	passes := func() {
		t.Helper()
		arrives(emit(t, db, "a"), "the stream goes on past what is only prepared")
	}
	for name, between := range map[string]func(){
		"goes on":     func() {},
		"was stopped": func() { relay.stop(); relay = start(t, url, "relay_prepared") },
		"was killed":  func() { relay.kill(); relay = start(t, url, "relay_prepared") },
	} {
		yes, no := prepare(t, url, "yes"), prepare(t, url, "no")
		passes()
		between()
		passes()
		require.Zero(t, r.Count(yes)+r.Count(no), "the relay %s: not committed yet", name)
		pgtest.Execute(t, db, `ROLLBACK PREPARED 'no'`)
		pgtest.Execute(t, db, `COMMIT PREPARED 'yes'`)
		arrives(yes, "delivered, where the relay "+name)
		rolledBack = append(rolledBack, no)
	}
	passes()
	relay.stop()
	relay = start(t, url, "relay_prepared")
	passes()
	relay.stop()
	require.ElementsMatch(t, committed, r.IDs(), "each once")
	for _, id := range rolledBack {
		require.Zero(t, r.Count(id))
	}
}

// A slot can't be made while a transaction is prepared. Once that is committed, the scan finds what it wrote.
func TestASlotIsMadeOnceWhatIsPreparedHasEnded(t *testing.T) {
	url, db, r := twoPhase(t)
	id := prepare(t, url, "yes")
	relay := launch(t, url, "relay_prepared")
	await(t, "the relay waits for it", func() bool {
		return pgtest.Value[bool](t, db, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)`)
	})
	require.False(t, relay.ready())
	pgtest.Execute(t, db, `COMMIT PREPARED 'yes'`)
	relay.awaitReady()
	await(t, "delivered", func() bool { return r.Count(id) == 1 })
	relay.stop()
	require.Equal(t, []string{id}, r.IDs())
}
