package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// failures makes deliveries that ended in the statuses in turn, a second between their events, the last of them now.
func failures(t *testing.T, db *pgxpool.Pool, n int, statuses ...string) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	require.NoError(t, db.QueryRow(t.Context(),
		"INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com/', '{*}') RETURNING id").Scan(&id))
	_, err := db.Exec(t.Context(), `
		WITH e AS (
		  INSERT INTO outbox.events (type, user_id, payload, created_at)
		  SELECT 'type.' || (n / 2) % 2, n % 3, '{}', now() - (($1 - n) / 10) * interval '1 second' FROM generate_series(1, $1) AS n
		  RETURNING *
		)
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, user_id, url, finished_at)
		SELECT outbox.delivery_id(e.id, $2), e.id, $2, e.created_at, ($3::text[])[row_number() OVER () % cardinality($3::text[]) + 1],
		       e.type, e.tenant, e.user_id, 'https://example.com/', now() FROM e`, n, id, statuses)
	require.NoError(t, err)
	return id
}

func allFailures(id uuid.UUID) store.Replayable {
	return store.Replayable{
		SubscriptionID: id, Since: time.Now().Add(-240 * time.Hour), Until: time.Now().Add(time.Hour),
		Statuses: []string{"failed", "rejected", "cancelled"},
	}
}

func countRows(t *testing.T, db *pgxpool.Pool, sql string, args ...any) (n int64) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

const eachOnce = "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM outbox.deliveries WHERE replay_of IS NOT NULL GROUP BY replay_of) AS r"

func TestReplayAllInBatches(t *testing.T) {
	db := pgtest.Pool(t, pgtest.Migrated(t))
	id := failures(t, db, 2500, "failed", "rejected", "cancelled", "accepted")
	fit, gone, err := store.CountReplayable(t.Context(), db, allFailures(id))
	require.NoError(t, err)
	require.EqualValues(t, 1875, fit)
	require.Zero(t, gone)

	var reports []int64
	made, err := store.ReplayAll(t.Context(), db, allFailures(id), fit, func(made int64) { reports = append(reports, made) })
	require.NoError(t, err)
	require.EqualValues(t, 1875, made)
	require.Equal(t, []int64{1000, 1875}, reports)
	require.EqualValues(t, 1875, countRows(t, db, "SELECT count(*) FROM outbox.deliveries WHERE replay_of IS NOT NULL AND status = 'pending'"))
	require.EqualValues(t, 2, countRows(t, db, "SELECT count(DISTINCT xmin::text) FROM outbox.deliveries WHERE replay_of IS NOT NULL"),
		"a transaction each")
	require.EqualValues(t, 1, countRows(t, db, eachOnce))

	fit, _, err = store.CountReplayable(t.Context(), db, allFailures(id))
	require.NoError(t, err)
	require.Zero(t, fit, "what was replayed is not again")
}

// A receiver that is still broken rejects the replays while the call goes on: they are not replayed by the same call, and
// by the next one they are, each event once.
func TestReplaysThatFailAtOnce(t *testing.T) {
	db := pgtest.Pool(t, pgtest.Migrated(t))
	id := failures(t, db, 1500, "failed")
	_, err := db.Exec(t.Context(), `
		CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.status := ''rejected''; NEW.due_at := NULL; RETURN NEW; END';
		CREATE TRIGGER reject BEFORE INSERT ON outbox.deliveries FOR EACH ROW WHEN (NEW.replay_of IS NOT NULL) EXECUTE FUNCTION reject()`)
	require.NoError(t, err)
	for call := int64(1); call <= 3; call++ {
		made, err := store.ReplayAll(t.Context(), db, allFailures(id), 1_000_000, func(int64) {})
		require.NoError(t, err)
		require.EqualValues(t, 1500, made)
		require.Equal(t, 1500*call, countRows(t, db, "SELECT count(*) FROM outbox.deliveries WHERE replay_of IS NOT NULL"))
		require.EqualValues(t, 1, countRows(t, db, eachOnce))
	}
}

func TestReplayAllGoesOnAfterAnInterruption(t *testing.T) {
	db := pgtest.Pool(t, pgtest.Migrated(t))
	id := failures(t, db, 3000, "failed")
	ctx, cancel := context.WithCancel(t.Context())
	made, err := store.ReplayAll(ctx, db, allFailures(id), 3000, func(made int64) {
		if made == 2000 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 2000, made, "what was made is told")
	require.Equal(t, made, countRows(t, db, "SELECT count(*) FROM outbox.deliveries WHERE replay_of IS NOT NULL"), "and stays")

	made, err = store.ReplayAll(t.Context(), db, allFailures(id), 3000, func(int64) {})
	require.NoError(t, err)
	require.EqualValues(t, 1000, made)
	require.EqualValues(t, 1, countRows(t, db, eachOnce))
}

func TestReplayAllTwiceAtOnce(t *testing.T) {
	db := pgtest.Pool(t, pgtest.Migrated(t))
	id := failures(t, db, 2500, "failed")
	var both errgroup.Group
	made := make([]int64, 2)
	for i := range made {
		both.Go(func() (err error) {
			made[i], err = store.ReplayAll(t.Context(), db, allFailures(id), 2500, func(int64) {})
			return err
		})
	}
	require.NoError(t, both.Wait())
	require.EqualValues(t, 2500, made[0]+made[1])
	require.EqualValues(t, 1, countRows(t, db, eachOnce))
}

func TestReplayableFilters(t *testing.T) {
	db := pgtest.Pool(t, pgtest.Migrated(t))
	id := failures(t, db, 60, "failed", "accepted")
	_ = failures(t, db, 60, "failed") // Another's.
	_, err := db.Exec(t.Context(), "DELETE FROM outbox.events WHERE id IN (SELECT event_id FROM outbox.deliveries WHERE subscription_id = $1 AND user_id = '2')", id)
	require.NoError(t, err)
	var first time.Time
	require.NoError(t, db.QueryRow(t.Context(), "SELECT min(event_created_at) FROM outbox.deliveries WHERE subscription_id = $1", id).Scan(&first))

	for name, tt := range map[string]struct {
		change    func(*store.Replayable)
		condition string
	}{
		"all":    {func(*store.Replayable) {}, "status = 'failed'"},
		"status": {func(w *store.Replayable) { w.Statuses = []string{"accepted", "failed"} }, "true"},
		"type":   {func(w *store.Replayable) { w.Type = "type.1" }, "status = 'failed' AND event_type = 'type.1'"},
		"user":   {func(w *store.Replayable) { w.UserID = "1" }, "status = 'failed' AND user_id = '1'"},
		"since":  {func(w *store.Replayable) { w.Since = first.Add(time.Second) }, "status = 'failed' AND event_created_at >= (SELECT min(event_created_at) FROM outbox.deliveries) + interval '1 second'"},
		"until":  {func(w *store.Replayable) { w.Until = first.Add(time.Second) }, "status = 'failed' AND event_created_at < (SELECT min(event_created_at) FROM outbox.deliveries) + interval '1 second'"},
	} {
		t.Run(name, func(t *testing.T) {
			which := allFailures(id)
			tt.change(&which)
			mine := "SELECT count(*) FROM outbox.deliveries WHERE subscription_id = $1 AND replay_of IS NULL AND " + tt.condition
			fit, gone, err := store.CountReplayable(t.Context(), db, which)
			require.NoError(t, err)
			require.Positive(t, fit)
			require.Equal(t, countRows(t, db, mine+" AND user_id <> '2'", id), fit)
			require.Equal(t, countRows(t, db, mine+" AND user_id = '2'", id), gone)

			made, err := store.ReplayAll(t.Context(), db, which, 1000, func(int64) {})
			require.NoError(t, err)
			require.Equal(t, fit, made)
			require.Zero(t, countRows(t, db, `SELECT count(*) FROM outbox.deliveries AS r JOIN outbox.deliveries AS d ON d.id = r.replay_of
				WHERE d.id NOT IN (SELECT id FROM outbox.deliveries WHERE subscription_id = $1 AND `+tt.condition+`)`, id))
			_, err = db.Exec(t.Context(), "DELETE FROM outbox.deliveries WHERE replay_of IS NOT NULL")
			require.NoError(t, err)
		})
	}
	made, err := store.ReplayAll(t.Context(), db, allFailures(id), 7, func(int64) {})
	require.NoError(t, err)
	require.EqualValues(t, 7, made, "no more than asked for")
}

// Retention may remove an event after the batch was chosen. A trigger stands in for the moment between.
func TestReplayAllGetsPastEventsThatVanish(t *testing.T) {
	db := pgtest.Pool(t, pgtest.Migrated(t))
	id := failures(t, db, 10, "failed")
	_, err := db.Exec(t.Context(), `
		CREATE SEQUENCE calls;
		ALTER FUNCTION outbox.replay(uuid) RENAME TO really_replay;
		CREATE FUNCTION outbox.replay(delivery_id uuid) RETURNS uuid LANGUAGE plpgsql AS $$
		BEGIN
		  IF nextval('calls') = 5 THEN
		    RAISE EXCEPTION 'no delivery % to replay', delivery_id USING ERRCODE = 'no_data_found';
		  END IF;
		  RETURN outbox.really_replay(delivery_id);
		END $$`)
	require.NoError(t, err)
	made, err := store.ReplayAll(t.Context(), db, allFailures(id), 10, func(int64) {})
	require.NoError(t, err)
	require.EqualValues(t, 10, made)
	require.EqualValues(t, 1, countRows(t, db, eachOnce))

	id = failures(t, db, 3, "failed")
	_, err = db.Exec(t.Context(), `CREATE OR REPLACE FUNCTION outbox.replay(delivery_id uuid) RETURNS uuid LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'never' USING ERRCODE = 'no_data_found'; END $$`)
	require.NoError(t, err)
	made, err = store.ReplayAll(t.Context(), db, allFailures(id), 10, func(int64) {})
	require.Error(t, err, "not for ever")
	require.NotErrorIs(t, err, context.Canceled)
	require.Zero(t, made)
}
