package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

var (
	ours, theirs = uuid.New(), uuid.New() // Leases.
	created      = time.Date(2026, 3, 4, 12, 0, 0, 123456000, time.UTC)
)

// record is one of delivery 1, with an attempt.
func record(status string, attempts int, lease uuid.UUID) *store.Record {
	return &store.Record{
		ID: number(1), EventID: number(2), SubscriptionID: number(3), EventCreatedAt: created, EventType: "user.invited",
		Tenant: "acme", UserID: ptr("42"), URL: "https://example.com", Status: status, Attempts: attempts, Lease: lease,
		Attempt: &store.Attempt{EndedAgo: 2 * time.Second, Duration: 1234567 * time.Microsecond},
	}
}

// recording is a database with the subscription of such records.
func recording(t testing.TB) *pgxpool.Pool {
	db := database(t)
	subscribe(t, db, 3, true)
	return db
}

func save(t testing.TB, db store.DB, records ...*store.Record) {
	t.Helper()
	require.NoError(t, store.SaveRecords(t.Context(), db, batchOf(t, records...)))
}

func batchOf(t testing.TB, records ...*store.Record) *store.Batch {
	t.Helper()
	var b store.Batch
	for _, r := range records {
		b.Add(r)
	}
	require.Equal(t, len(records), b.Len())
	return &b
}

// whole is all that stands in the database of deliveries and attempts.
func whole(t testing.TB, db store.DB) []string {
	t.Helper()
	return pgtest.Values[string](t, db, `SELECT row_to_json(d)::text FROM outbox.deliveries AS d
		UNION ALL SELECT row_to_json(a)::text FROM outbox.attempts AS a ORDER BY 1`)
}

func TestSaveEachStatus(t *testing.T) {
	t.Parallel()

	db := recording(t)
	for _, write := range []func(context.Context, store.DB, *store.Batch) error{store.SaveRecords, store.SaveNewRecords} {
		testSaveEachStatus(t, db, func(r *store.Record) { require.NoError(t, write(t.Context(), db, batchOf(t, r))) })
	}
}

func testSaveEachStatus(t *testing.T, db store.DB, write func(*store.Record)) {
	t.Helper()
	for _, tt := range []struct {
		record   store.Record
		attempt  *store.Attempt
		delivery string
		attempts []string
	}{
		{
			store.Record{Status: "accepted", Attempts: 1},
			&store.Attempt{EndedAgo: time.Second, Duration: 1500 * time.Microsecond, Code: 200, ResponseBody: "ok"},
			"accepted 1 200 - - due - ended 00:00:01 next - finished now",
			[]string{"1 2 200 - - ok 00:00:00.0015"},
		},
		{
			store.Record{Status: "rejected", Attempts: 3},
			&store.Attempt{Duration: 15 * time.Second, Code: 410, ResponseBody: "gone"},
			"rejected 3 410 - - due - ended 00:00:00 next - finished now",
			[]string{"3 15000 410 - - gone 00:00:15"},
		},
		{
			store.Record{Status: "retrying", Attempts: 2, DueIn: 21*time.Second + time.Microsecond},
			&store.Attempt{EndedAgo: 1500001 * time.Microsecond, Duration: time.Microsecond, ErrorClass: "dns", Error: "no such host"},
			"retrying 2 - dns no such host due 00:00:19.5 ended 00:00:01.500001 next 00:00:19.5 finished -",
			[]string{"2 0 - dns no such host - 00:00:00.000001"},
		},
		{
			store.Record{Status: "failed", Attempts: 16},
			&store.Attempt{Duration: 499 * time.Microsecond, ErrorClass: "timeout", Error: "no answer"},
			"failed 16 - timeout no answer due - ended 00:00:00 next - finished now",
			[]string{"16 0 - timeout no answer - 00:00:00.000499"},
		},
		{store.Record{Status: "cancelled"}, nil, "cancelled 0 - - - due - ended - next - finished now", nil},
		{store.Record{Status: "pending"}, nil, "pending 0 - - - due 00:00:00 ended - next - finished -", nil},
		{
			store.Record{Status: "pending", DueIn: 21 * time.Second}, nil,
			"pending 0 - - - due 00:00:21 ended - next - finished -", nil,
		},
	} {
		full := *record(tt.record.Status, tt.record.Attempts, ours)
		full.DueIn, full.Attempt = tt.record.DueIn, tt.attempt
		forgetAll(t, db)
		before := pgtest.Value[time.Time](t, db, `SELECT clock_timestamp()`)
		write(&full)
		after := pgtest.Value[time.Time](t, db, `SELECT clock_timestamp()`)

		// When the statement ran follows from what it wrote.
		ran := pgtest.Value[time.Time](t, db, `
			SELECT coalesce(finished_at, last_attempt_at + $1::bigint * interval '1 microsecond',
			                due_at - $2::bigint * interval '1 microsecond') FROM outbox.deliveries`,
			endedAgo(tt.attempt), full.DueIn.Microseconds())
		require.WithinRange(t, ran, before, after)
		require.Equal(t, tt.delivery, pgtest.Value[string](t, db, `
			SELECT concat_ws(' ', status, attempts, coalesce(response_code::text, '-'), coalesce(error_class, '-'), coalesce(error, '-'),
			  'due', coalesce((due_at - s.at)::text, '-'), 'ended', coalesce((s.at - last_attempt_at)::text, '-'),
			  'next', coalesce((next_attempt_at - s.at)::text, '-'), 'finished', CASE WHEN finished_at = s.at THEN 'now' ELSE '-' END)
			  FROM outbox.deliveries, (SELECT $1::timestamptz) AS s(at)`, ran))
		require.ElementsMatch(t, tt.attempts, pgtest.Values[string](t, db, `
			SELECT concat_ws(' ', attempt, duration_ms, coalesce(a.response_code::text, '-'), coalesce(a.error_class, '-'),
			                 coalesce(a.error, '-'), coalesce(a.response_body, '-'), d.last_attempt_at - a.started_at)
			  FROM outbox.attempts AS a JOIN outbox.deliveries AS d ON d.id = a.delivery_id`))
		require.True(t, pgtest.Value[bool](t, db, `
			SELECT (event_id, subscription_id, event_created_at, event_type, tenant, user_id, url, lease)
			     = ($1, $2, $3, 'user.invited', 'acme', '42', 'https://example.com', $4)
			   AND replay_of IS NULL FROM outbox.deliveries`, number(2), number(3), created, ours))
	}
}

func forgetAll(t testing.TB, db store.DB) {
	t.Helper()
	pgtest.Execute(t, db, `DELETE FROM outbox.deliveries`)
	pgtest.Execute(t, db, `DELETE FROM outbox.attempts`)
}

func endedAgo(a *store.Attempt) *int64 {
	if a == nil {
		return nil
	}
	return ptr(a.EndedAgo.Microseconds())
}

// The schedule is kept to the microsecond, however long writing it down takes.
func TestDelaysAreExact(t *testing.T) {
	t.Parallel()

	db := recording(t)
	records := make([]*store.Record, 0, 15)
	for n := 1; n <= 15; n++ {
		r := record("retrying", n, ours)
		r.ID = number(n)
		r.DueIn = 5*time.Second + time.Duration(n*n*n*n)*time.Second + time.Duration(n)*time.Microsecond
		r.Attempt.EndedAgo = time.Duration(n) * 33333 * time.Microsecond
		records = append(records, r)
	}
	save(t, db, records...)
	require.Empty(t, pgtest.Values[int](t, db, `
		SELECT attempts FROM outbox.deliveries
		 WHERE next_attempt_at - last_attempt_at <> interval '5 s' + attempts ^ 4 * interval '1 s' + attempts * interval '1 us'
		    OR due_at <> next_attempt_at`))
}

// A row is changed by who holds its lease and by nobody else; once finished, by nobody.
func TestOnlyTheLeaseWrites(t *testing.T) {
	t.Parallel()

	db := recording(t)
	all := []string{"pending", "retrying", "accepted", "rejected", "failed", "cancelled"}
	for _, is := range all {
		for _, becomes := range all {
			forgetAll(t, db)
			save(t, db, record(is, 1, ours))
			before := whole(t, db)

			save(t, db, record(becomes, 2, theirs))
			require.Equal(t, before, whole(t, db), "%s, then %s by another", is, becomes)
			save(t, db, record(becomes, 2, uuid.Nil))
			require.Equal(t, before, whole(t, db), "%s, then %s by one without a lease", is, becomes)

			save(t, db, record(becomes, 2, ours))
			if is == "pending" || is == "retrying" {
				require.Equal(t, []string{becomes + " 2"}, pgtest.Values[string](t, db, `SELECT status || ' ' || attempts FROM outbox.deliveries`))
				require.Equal(t, []int{1, 2}, pgtest.Values[int](t, db, `SELECT attempt FROM outbox.attempts ORDER BY 1`))
			} else {
				require.Equal(t, before, whole(t, db), "%s is final, not %s", is, becomes)
			}
		}
	}
}

// A row that nobody has in hand, such as one given back or replayed, is not written without claiming it.
func TestNoLeaseWritesNothing(t *testing.T) {
	t.Parallel()

	db := recording(t)
	put(t, db, given{id: 1, event: 2, subscription: 3})
	before := whole(t, db)
	for _, lease := range []uuid.UUID{ours, uuid.Nil} {
		save(t, db, record("accepted", 1, lease))
		require.Equal(t, before, whole(t, db))
	}
}

// When a connection is cut at the commit, the same is written again.
func TestSavedTwice(t *testing.T) {
	t.Parallel()

	db := recording(t)
	var records []*store.Record
	for i, status := range []string{"accepted", "rejected", "failed", "retrying", "cancelled", "pending"} {
		r := record(status, 1, ours)
		r.ID = number(i)
		r.DueIn = time.Hour
		if status == "cancelled" || status == "pending" {
			r.Attempt, r.Attempts = nil, 0
		}
		records = append(records, r)
	}
	const facts = `
		SELECT concat_ws(' ', d.id, status, attempts, next_attempt_at - last_attempt_at, a.attempt, a.duration_ms,
		                 CASE WHEN due_at IS NULL THEN finished_at END)
		  FROM outbox.deliveries AS d LEFT JOIN outbox.attempts AS a ON a.delivery_id = d.id ORDER BY 1`
	save(t, db, records...)
	before := pgtest.Values[string](t, db, facts)
	require.Len(t, before, 6)
	save(t, db, records...)
	require.Equal(t, before, pgtest.Values[string](t, db, facts))
}

// Rows that should be new are written all together or, where one is there already, not at all.
func TestSaveNewMeetsARow(t *testing.T) {
	t.Parallel()

	db := recording(t)
	there, fresh := record("pending", 0, ours), record("accepted", 1, ours)
	there.Attempt, fresh.ID = nil, number(9)
	require.NoError(t, store.SaveNewRecords(t.Context(), db, batchOf(t, there)))
	before := whole(t, db)
	require.Len(t, before, 1)

	there = record("accepted", 1, ours)
	err := store.SaveNewRecords(t.Context(), db, batchOf(t, fresh, there))
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Equal(t, "23505", pg.Code)
	require.Equal(t, before, whole(t, db))
	save(t, db, fresh, there)
	require.Len(t, whole(t, db), 4, "two deliveries with an attempt each")
}

// A record without an attempt leaves what the last one said; the URL is always the newest.
func TestRecordWithoutAnAttempt(t *testing.T) {
	t.Parallel()

	db := recording(t)
	first := record("retrying", 1, ours)
	first.Attempt.ErrorClass, first.Attempt.Error = "connect", "refused"
	save(t, db, first)
	const facts = `SELECT concat_ws(' ', last_attempt_at, error_class, error) FROM outbox.deliveries`
	before := pgtest.Value[string](t, db, facts)

	cancelled := record("cancelled", 1, ours)
	cancelled.Attempt, cancelled.URL = nil, "https://new.example.com"
	save(t, db, cancelled)
	require.Equal(t, before, pgtest.Value[string](t, db, facts))
	require.Equal(t, "cancelled https://new.example.com 1", pgtest.Value[string](t, db, `
		SELECT concat_ws(' ', status, url, attempts, next_attempt_at, due_at) FROM outbox.deliveries`))

	// An attempt that was answered clears the error of the one before.
	pgtest.Execute(t, db, `UPDATE outbox.deliveries SET status = 'retrying', due_at = now()`)
	accepted := record("accepted", 2, ours)
	accepted.Attempt.Code = 200
	save(t, db, accepted)
	require.Equal(t, "accepted 200", pgtest.Value[string](t, db, `
		SELECT concat_ws(' ', status, response_code, error_class, error) FROM outbox.deliveries`))
}

// All of a batch or nothing: the recorder halves a refused one to find the culprit.
func TestBatchIsAllOrNothing(t *testing.T) {
	t.Parallel()

	db := recording(t)
	good, bad := record("accepted", 1, ours), record("accepted", 1, ours)
	bad.ID = number(9)
	for name, tt := range map[string]struct {
		spoil func()
		code  string
	}{
		"a body that is no text": {func() { bad.Attempt.ResponseBody = "\x00" }, "22021"},
		"an unknown class":       {func() { bad.Attempt.ErrorClass = "weather" }, "23514"},
		"an unknown status":      {func() { bad.Status = "lost" }, "23514"},
		"two of one delivery":    {func() { bad.ID, bad.Status = good.ID, "retrying" }, "21000"},
	} {
		kept, attempt := *bad, *bad.Attempt
		tt.spoil()
		var b store.Batch
		b.Add(good)
		b.Add(bad)
		err := store.SaveRecords(t.Context(), db, &b)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, tt.code, refused.Code, name)
		require.ErrorContains(t, err, "record deliveries: ")
		require.Empty(t, whole(t, db), name)
		*bad, *bad.Attempt = kept, attempt

		b.Reset()
		require.Zero(t, b.Len())
		require.NoError(t, store.SaveRecords(t.Context(), db, &b), "of nothing, nothing comes")
	}
}

func TestSaveManyAndFindThem(t *testing.T) {
	t.Parallel()

	db := recording(t)
	const n = 5000
	var records []*store.Record
	var ids []uuid.UUID
	for i := range n {
		r := record("accepted", 1, ours)
		r.ID, r.URL, r.UserID = number(i), fmt.Sprint("https://example.com/", i), nil
		records = append(records, r)
		ids = append(ids, r.ID)
	}
	save(t, db, records...)
	require.Equal(t, n, pgtest.Value[int](t, db, `
		SELECT count(*) FROM outbox.deliveries AS d JOIN outbox.attempts AS a ON a.delivery_id = d.id
		 WHERE url = 'https://example.com/' || right(id::text, 12)::int AND user_id IS NULL`))

	found, err := store.Recorded(t.Context(), db, append(ids[:100:100], uuid.New(), uuid.New()))
	require.NoError(t, err)
	require.Len(t, found, 100)
	for _, id := range ids[:100] {
		require.Contains(t, found, id)
	}
	found, err = store.Recorded(t.Context(), db, nil)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestDisableSubscription(t *testing.T) {
	t.Parallel()

	db := database(t)
	disable := func(id int, reason string, want bool) {
		t.Helper()
		done, err := store.DisableSubscription(t.Context(), db, number(id), reason)
		require.NoError(t, err)
		require.Equal(t, want, done)
	}
	subscribe(t, db, 1, true)
	disable(1, "answered 410", true)
	disable(1, "answered 404", false)
	require.Equal(t, "answered 410", pgtest.Value[string](t, db, `
		SELECT disabled_reason FROM outbox.subscriptions WHERE NOT active AND disabled_at IS NOT NULL`), "the first reason stays")
	disable(2, "it is not there", false)

	// One that somebody is changing is not waited for.
	subscribe(t, db, 3, true)
	tx := begin(t, db)
	pgtest.Execute(t, tx, `UPDATE outbox.subscriptions SET url = 'https://new.example.com' WHERE id = $1`, number(3))
	disable(3, "answered 410", false)
	require.NoError(t, tx.Commit(t.Context()))
	disable(3, "answered 410", true)
}

// What would be tried again, and has no subscription to be tried for any more, is cancelled; what is done is done.
func TestAnOutcomeAfterItsSubscriptionIsGone(t *testing.T) {
	t.Parallel()

	for name, gone := range map[string]string{
		"removed":      `DELETE FROM outbox.subscriptions`,
		"switched off": `UPDATE outbox.subscriptions SET active = false`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			db := recording(t)
			pending := record("pending", 0, ours)
			pending.Attempt, pending.DueIn = nil, time.Hour
			save(t, db, pending)
			pgtest.Execute(t, db, gone)
			save(t, db, record("retrying", 1, ours))
			fresh := record("retrying", 1, uuid.Nil)
			fresh.ID, fresh.DueIn = number(4), time.Hour
			require.NoError(t, store.SaveNewRecords(t.Context(), db, batchOf(t, fresh)))
			accepted := record("accepted", 1, uuid.Nil)
			accepted.ID = number(5)
			require.NoError(t, store.SaveNewRecords(t.Context(), db, batchOf(t, accepted)))
			require.Equal(t, []string{"cancelled 1 t f", "cancelled 1 t f", "accepted 1 t f"}, pgtest.Values[string](t, db, `
				SELECT concat_ws(' ', status, attempts, finished_at IS NOT NULL, next_attempt_at IS NOT NULL)
				  FROM outbox.deliveries ORDER BY id`))
			require.Len(t, pgtest.Values[int](t, db, `SELECT attempt FROM outbox.attempts`), 3, "attempts that were made are in the log")
		})
	}
}
