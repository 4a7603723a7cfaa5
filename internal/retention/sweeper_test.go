package retention

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

func TestMain(m *testing.M) { pgtest.MainLeak(m) }

const month = 30 * 24 * time.Hour

// passed is a slot that is beyond everything.
func passed() (pglogrepl.LSN, bool) { return 1 << 62, true }

func newDatabase(t *testing.T) *pgxpool.Pool { return pgtest.Pool(t, pgtest.Migrated(t)) }

// put writes an event of an age with one delivery, which has two attempts, and returns its id.
func put(t *testing.T, db store.DB, age time.Duration, status string) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	pgtest.Execute(t, db, `INSERT INTO outbox.events (id, type, payload, created_at) VALUES ($1, 'a', '1', now() - $2::bigint * interval '1 microsecond')`,
		id, age.Microseconds())
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, url)
		SELECT outbox.delivery_id(id, id), id, id, created_at, CASE WHEN $2 IN ('pending', 'retrying') THEN now() END, $2, type, tenant, ''
		  FROM outbox.events WHERE id = $1`, id, status)
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, started_at, attempt, duration_ms)
		SELECT outbox.delivery_id($1, $1), now(), n, 1 FROM generate_series(1, 2) AS n`, id)
	return id
}

// left are the events that are there; what belongs to events that are gone must be gone.
func left(t *testing.T, db store.DB) []uuid.UUID {
	t.Helper()
	require.Empty(t, pgtest.Values[uuid.UUID](t, db, `SELECT id FROM outbox.deliveries AS d WHERE NOT EXISTS (SELECT FROM outbox.events WHERE id = event_id)`))
	require.Empty(t, pgtest.Values[uuid.UUID](t, db, `SELECT delivery_id FROM outbox.attempts WHERE NOT EXISTS (SELECT FROM outbox.deliveries WHERE id = delivery_id)`))
	return pgtest.Values[uuid.UUID](t, db, `SELECT id FROM outbox.events ORDER BY id`)
}

// Over a table of everything, chunk by chunk, just what is old and done goes, with all that belongs to it.
func TestSweepRemovesWhatIsOldAndFinished(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	pgtest.Execute(t, db, `SELECT setseed(0.5)`)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.events (type, payload, created_at)
		SELECT 'a', '{}', date_trunc('hour', now() - random() * interval '60 days') FROM generate_series(1, 3000)`)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, url)
		SELECT outbox.uuid7(), e.id, outbox.uuid7(), e.created_at, CASE WHEN s.status = 'pending' THEN now() END, s.status, 'a', 'default', ''
		  FROM outbox.events AS e, generate_series(1, 3) AS n,
		       LATERAL (SELECT CASE WHEN random() < 0.1 THEN 'pending' ELSE 'accepted' END WHERE random() < 0.9 OR e.id IS NULL) AS s(status)`)
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms) SELECT id, 1, now(), 1 FROM outbox.deliveries`)
	want := pgtest.Values[uuid.UUID](t, db, `
		SELECT e.id FROM outbox.events AS e
		 WHERE e.created_at >= now() - interval '30 days'
		    OR EXISTS (SELECT FROM outbox.deliveries AS d WHERE d.event_id = e.id AND d.status = 'pending') ORDER BY 1`)
	require.Greater(t, len(want), 1500)
	require.Less(t, len(want), 2500)
	deliveries := pgtest.Values[int](t, db, `SELECT count(*) FROM outbox.deliveries`)[0]

	s := Sweeper{DB: db, Age: month, Passed: passed, chunk: 64}
	removed, err := s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, left(t, db))
	require.EqualValues(t, 3000-len(want), removed.Events)
	require.EqualValues(t, deliveries-pgtest.Values[int](t, db, `SELECT count(*) FROM outbox.deliveries`)[0], removed.Deliveries)
	require.Equal(t, pgtest.Values[int](t, db, `SELECT count(*) FROM outbox.deliveries`), pgtest.Values[int](t, db, `SELECT count(*) FROM outbox.attempts`))

	removed, err = s.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, removed)
}

// An event that was old when it was inserted goes only when the slot has passed it.
func TestSweepWaitsForSlot(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	old := put(t, db, 2*month, "accepted")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var slot atomic.Uint64
	var asked atomic.Int64
	s := Sweeper{DB: db, Age: month, Passed: func() (pglogrepl.LSN, bool) {
		asked.Add(1)
		return pglogrepl.LSN(slot.Load()), true
	}}
	swept := make(chan Removed)
	go func() {
		removed, _ := s.Sweep(ctx)
		swept <- removed
	}()
	for asked.Load() < 10 {
		select {
		case <-swept:
			t.Fatal("did not wait")
		case <-time.After(passedEvery):
		}
	}
	require.Equal(t, []uuid.UUID{old}, left(t, db))
	slot.Store(1 << 62)
	require.Equal(t, Removed{Events: 1, Deliveries: 1}, <-swept)
	require.Empty(t, left(t, db))
}

func TestSweepEndsWhenUnwanted(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	put(t, db, 2*month, "accepted")
	s := Sweeper{DB: db, Age: month, Passed: func() (pglogrepl.LSN, bool) { return 1 << 62, false }}
	removed, err := s.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, removed)
	require.Len(t, left(t, db), 1)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Passed = passed
	removed, err = s.Sweep(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, removed)
	require.Len(t, left(t, db), 1)
}

// What had to be left, and what came later with a time of long ago, goes once the search begins anew.
func TestSweepComesBack(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	unfinished := put(t, db, 3*month, "retrying")
	put(t, db, 2*month, "rejected")
	recorder := &recording{DB: db}
	s := Sweeper{DB: recorder, Age: month, Passed: passed}
	removed, err := s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, Removed{Events: 1, Deliveries: 1}, removed)
	require.Equal(t, []uuid.UUID{unfinished}, left(t, db))

	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET status = 'failed', due_at = NULL`)
	put(t, db, 4*month, "accepted")
	s.anew = time.Now().Add(time.Hour)
	removed, err = s.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, removed, "not from the beginning yet")
	require.WithinDuration(t, time.Now().Add(-month), recorder.from[len(recorder.from)-1], time.Minute)

	s.anew = time.Time{}
	removed, err = s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, Removed{Events: 2, Deliveries: 2}, removed)
	require.Empty(t, left(t, db))
	require.True(t, s.anew.After(time.Now()) || s.anew.After(time.Now().Add(-time.Second)), "the next one is put off by what it took")
}

// Within a sweep each search begins where the last one ended, and events of one transaction share their time.
func TestSweepGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	pgtest.Execute(t, db, `INSERT INTO outbox.events (type, payload, created_at)
		SELECT 'a', '1', date_trunc('day', now()) - (60 - n / 100) * interval '1 day' FROM generate_series(0, 999) AS n`)
	recorder := &recording{DB: db}
	s := Sweeper{DB: recorder, Age: month, Passed: passed, chunk: 70}
	removed, err := s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, Removed{Events: 1000}, removed)
	require.Greater(t, len(recorder.from), 1000/70)
	require.Zero(t, recorder.from[0])
	for i, from := range recorder.from[1:] {
		require.False(t, from.Before(recorder.from[i]))
	}
	require.Empty(t, left(t, db))
}

// After an error, what was not seen to is seen to.
func TestSweepAfterError(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	for range 5 {
		put(t, db, 2*month, "accepted")
	}
	recorder := &recording{DB: db, fail: "DELETE FROM outbox.deliveries"}
	s := Sweeper{DB: recorder, Age: month, Passed: passed}
	removed, err := s.Sweep(t.Context())
	require.ErrorIs(t, err, errAsked)
	require.Equal(t, Removed{Events: 5}, removed)
	recorder.fail = ""
	s.anew = time.Now().Add(time.Hour)
	removed, err = s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, Removed{Deliveries: 5}, removed)
	require.Empty(t, left(t, db))
}

var errAsked = errors.New("asked to fail")

// recording notes from when on events were looked for, and fails statements with some text in them.
type recording struct {
	store.DB
	from []time.Time
	fail string
}

func (r *recording) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if r.fail != "" && strings.Contains(sql, r.fail) {
		return failed{}
	}
	if strings.Contains(sql, "pg_current_wal_insert_lsn") {
		r.from = append(r.from, args[1].(time.Time))
	}
	return r.DB.QueryRow(ctx, sql, args...)
}

func (r *recording) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return r.DB.Exec(ctx, sql, args...)
}

type failed struct{}

func (failed) Scan(...any) error { return errAsked }
