package e2e

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// Timeouts that are set for a whole database cut nothing of the relay's short: neither the making of a slot that waits for a
// transaction, nor a scan, nor the stream.
func TestTimeoutsOfTheDatabase(t *testing.T) {
	ctx := context.Background()
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	emit(t, db, "early")
	writer, err := db.Begin(ctx)
	require.NoError(t, err)
	defer writer.Rollback(ctx) //nolint:errcheck // It is committed by then, or the test has failed.
	_, err = writer.Exec(ctx, `SELECT outbox.emit('late', '1')`)
	require.NoError(t, err)
	locker, err := db.Begin(ctx)
	require.NoError(t, err)
	defer locker.Rollback(ctx) //nolint:errcheck // As well.
	_, err = locker.Exec(ctx, `LOCK TABLE outbox.deliveries IN EXCLUSIVE MODE`)
	require.NoError(t, err)
	pgtest.Execute(t, db, `
		DO $$
		DECLARE command text;
		BEGIN
		  FOR command IN SELECT format('ALTER DATABASE %I SET %I = ''1s''', current_database(), name) FROM pg_settings
		    WHERE name IN ('statement_timeout', 'transaction_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
		                   'idle_session_timeout')
		  LOOP
		    EXECUTE command;
		  END LOOP;
		END $$`)

	// Longer than any of them allows.
	const waits = `
		SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		 WHERE a.datname = current_database() AND (a.backend_type = 'walsender') = $1
		   AND NOT l.granted AND clock_timestamp() - l.waitstart > '1.5 s'`
	relay := launch(t, url, slot)
	await(t, "the slot's making waits", func() bool { return pgtest.Value[int](t, db, waits, true) > 0 })
	require.NoError(t, writer.Commit(ctx))
	await(t, "the scan waits", func() bool { return pgtest.Value[int](t, db, waits, false) > 0 })
	reader := pgtest.Value[int](t, db, `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'walsender'`)
	require.NoError(t, locker.Rollback(ctx))
	relay.awaitReady()

	emitted := 2
	await(t, "a stream", func() bool {
		emit(t, db, "now")
		emitted++
		return pgtest.Value[bool](t, db, `
			SELECT coalesce(bool_or(clock_timestamp() - query_start > '3 s'), false) FROM pg_stat_activity
			 WHERE datname = current_database() AND backend_type = 'walsender' AND query LIKE 'START_REPLICATION%'`)
	})
	await(t, "all recorded", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == emitted
	})
	require.Equal(t, reader, pgtest.Value[int](t, db, `SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1`, slot),
		"over one connection all the time")
	relay.stop()
}
