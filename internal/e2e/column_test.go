package e2e

import (
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// The WAL of a time in which a column was missing can't be read, not even once the column is back. The log says what to run.
func TestAColumnThatWasMissing(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, url, slot)
	before := emit(t, db, "a")
	await(t, "delivered", func() bool { return r.Count(before) == 1 })
	relay.stop()
	pgtest.Execute(t, db, `ALTER TABLE outbox.events DROP COLUMN user_id`)
	const insert = `INSERT INTO outbox.events (type, payload) VALUES ('a', '{"n": 1}') RETURNING id::text`
	meanwhile := pgtest.Value[string](t, db, insert)
	pgtest.Execute(t, db, `ALTER TABLE outbox.events ADD COLUMN user_id text`)
	after := emit(t, db, "a")

	relay = launch(t, url, slot)
	advice := regexp.MustCompile("run `(SELECT pg_drop_replication_slot[^`]+)`")
	var statement string
	await(t, "the log says what to run", func() bool {
		found := advice.FindStringSubmatch(relay.log.String())
		if found != nil {
			statement = found[1]
		}
		return found != nil
	})
	require.Contains(t, relay.log.String(), "the stream holds no column user_id of outbox.events")
	require.Equal(t, `SELECT pg_drop_replication_slot('`+slot+`')`, statement)
	require.Equal(t, []string{before}, r.IDs())
	await(t, "the slot is dropped, between two tries of the relay", func() bool {
		_, err := db.Exec(context.Background(), statement)
		return err == nil
	})
	await(t, "what was missing arrives", func() bool { return r.Count(meanwhile) == 1 && r.Count(after) == 1 })
	last := emit(t, db, "a")
	await(t, "and what comes", func() bool { return r.Count(last) == 1 })
	relay.awaitReady()
	relay.stop()
	require.ElementsMatch(t, []string{before, meanwhile, after, last}, r.IDs(), "each once")
}
