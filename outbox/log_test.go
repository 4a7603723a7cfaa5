package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

var (
	crm     = uuid.MustParse("00000000-0000-4000-8000-00000000000c")
	billing = uuid.MustParse("00000000-0000-4000-8000-00000000000b")
)

func at(minute int) time.Time { return time.Date(2026, 3, 4, 12, minute, 0, 123456000, time.UTC) }

// number is the n-th delivery's id and its event's.
func number(n int) uuid.UUID { return uuid.MustParse(fmt.Sprintf("00000000-0000-8000-8000-%012d", n)) }

// sampleLog has a delivery of each status, newest first. Two have the same time.
func sampleLog() []outbox.Delivery {
	log := []outbox.Delivery{
		{EventType: "order.paid", Tenant: "acme", UserID: ptr("7"), SubscriptionID: crm, Status: outbox.StatusCancelled,
			CreatedAt: at(9), FinishedAt: ptr(at(9))},
		{EventType: "order.paid", Tenant: "default", SubscriptionID: crm, Status: outbox.StatusPending, CreatedAt: at(8)},
		{EventType: "user.removed", Tenant: "acme", UserID: ptr("42"), SubscriptionID: billing, Status: outbox.StatusFailed,
			Attempts: 16, ErrorClass: ptr(outbox.ClassTimeout), Error: ptr("no answer within 15s"), CreatedAt: at(7),
			LastAttemptAt: ptr(at(50)), FinishedAt: ptr(at(50))},
		{EventType: "user.removed", Tenant: "default", UserID: ptr("42"), SubscriptionID: crm, Status: outbox.StatusRetrying,
			Attempts: 2, ErrorClass: ptr(outbox.ClassConnect), Error: ptr("connection refused"), CreatedAt: at(7),
			LastAttemptAt: ptr(at(7)), NextAttemptAt: ptr(at(8))},
		{EventType: "user.invited", Tenant: "default", UserID: ptr("42"), SubscriptionID: billing,
			Status: outbox.StatusRejected, Attempts: 1, ResponseCode: ptr(410), CreatedAt: at(6), LastAttemptAt: ptr(at(6)),
			FinishedAt: ptr(at(6)), ReplayOf: ptr(number(99))},
		{EventType: "user.invited", Tenant: "default", UserID: ptr("42"), SubscriptionID: crm,
			Status: outbox.StatusAccepted, Attempts: 1, ResponseCode: ptr(200), CreatedAt: at(6).Add(-time.Microsecond),
			LastAttemptAt: ptr(at(6)), FinishedAt: ptr(at(6))},
	}
	for i := range log {
		n := len(log) - i
		log[i].DeliveryID, log[i].EventID = number(n), number(n)
		log[i].URL = "https://example.com/hooks"
		log[i].Payload = json.RawMessage(fmt.Sprintf(" {\"n\": %d} ", n))
	}
	return log
}

// write puts deliveries where the relay does, with their events.
func write(t *testing.T, db outbox.Tx, log []outbox.Delivery) {
	t.Helper()
	for _, d := range log {
		event := outbox.Event{ID: d.EventID, Type: d.EventType, Tenant: d.Tenant, Payload: d.Payload, CreatedAt: d.CreatedAt}
		_, err := outbox.Insert(t.Context(), db, event)
		require.NoError(t, err)
		var due *time.Time
		if d.FinishedAt == nil {
			due = &d.CreatedAt
		}
		_, err = db.Exec(t.Context(), `
			INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, last_attempt_at,
			  next_attempt_at, finished_at, replay_of, attempts, response_code, status, event_type, tenant, user_id, url,
			  error_class, error)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
			d.DeliveryID, d.EventID, d.SubscriptionID, d.CreatedAt, due, d.LastAttemptAt, d.NextAttemptAt, d.FinishedAt,
			d.ReplayOf, d.Attempts, d.ResponseCode, d.Status, d.EventType, d.Tenant, d.UserID, d.URL, d.ErrorClass, d.Error)
		require.NoError(t, err)
	}
}

// utc brings the times, which drivers return in zones of their own, to one.
func utc(log []outbox.Delivery) []outbox.Delivery {
	for i := range log {
		d := &log[i]
		d.CreatedAt = d.CreatedAt.UTC()
		for _, p := range []**time.Time{&d.LastAttemptAt, &d.NextAttemptAt, &d.FinishedAt} {
			if *p != nil {
				*p = ptr((*p).UTC())
			}
		}
	}
	return log
}

func TestLog(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	all := sampleLog()
	write(t, pool, all)

	filters := []struct {
		filter outbox.Filter
		want   func(outbox.Delivery) bool
		n      int
	}{
		{outbox.Filter{}, func(outbox.Delivery) bool { return true }, 6},
		{outbox.Filter{UserID: "42"}, func(d outbox.Delivery) bool { return d.UserID != nil && *d.UserID == "42" }, 4},
		{outbox.Filter{UserID: "43"}, func(outbox.Delivery) bool { return false }, 0},
		{outbox.Filter{UserID: "' OR ''='"}, func(outbox.Delivery) bool { return false }, 0},
		{outbox.Filter{Tenant: "acme"}, func(d outbox.Delivery) bool { return d.Tenant == "acme" }, 2},
		{outbox.Filter{Type: "user.invited"}, func(d outbox.Delivery) bool { return d.EventType == "user.invited" }, 2},
		{outbox.Filter{Status: outbox.StatusPending}, func(d outbox.Delivery) bool { return d.Status == "pending" }, 1},
		{outbox.Filter{SubscriptionID: billing}, func(d outbox.Delivery) bool { return d.SubscriptionID == billing }, 2},
		{outbox.Filter{DeliveryID: number(3)}, func(d outbox.Delivery) bool { return d.DeliveryID == number(3) }, 1},
		{outbox.Filter{Limit: 1}, func(d outbox.Delivery) bool { return d.DeliveryID == number(6) }, 1},
		{outbox.Filter{Before: all[2].Cursor()}, func(d outbox.Delivery) bool { return d.DeliveryID.String() < number(4).String() }, 3},
		{outbox.Filter{UserID: "42", Tenant: "default", Type: "user.removed", Status: outbox.StatusRetrying, SubscriptionID: crm,
			DeliveryID: number(3), Before: all[0].Cursor(), Limit: 9},
			func(d outbox.Delivery) bool { return d.DeliveryID == number(3) }, 1},
	}
	for _, host := range hosts(t, url) {
		for _, tt := range filters {
			got, err := host.log(t.Context(), tt.filter)
			require.NoError(t, err, "%s %+v", host.name, tt.filter)
			want := slices.DeleteFunc(sampleLog(), func(d outbox.Delivery) bool { return !tt.want(d) })
			require.Len(t, got, tt.n, "%s %+v", host.name, tt.filter)
			for i := range want {
				require.Equal(t, want[i], utc(got)[i], "%s %+v", host.name, tt.filter)
			}
		}
	}
}

func TestLogInPages(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	all := sampleLog()
	write(t, pgtest.Pool(t, url), all)

	for _, host := range hosts(t, url) {
		for size := 1; size <= len(all); size++ {
			var seen []outbox.Delivery
			filter := outbox.Filter{Limit: size}
			for {
				page, err := host.log(t.Context(), filter)
				require.NoError(t, err)
				if len(page) == 0 {
					break
				}
				require.LessOrEqual(t, len(page), size)
				seen = append(seen, page...)
				filter.Before = seen[len(seen)-1].Cursor()
			}
			require.Equal(t, all, utc(seen), "%s, %d a page", host.name, size)
		}
	}
}

func TestLogWithoutTheEvent(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	write(t, pool, sampleLog()[:1])
	_, err := pool.Exec(t.Context(), `DELETE FROM outbox.events`)
	require.NoError(t, err)
	for _, host := range hosts(t, url) {
		log, err := host.log(t.Context(), outbox.Filter{})
		require.NoError(t, err, host.name)
		require.Len(t, log, 1)
		require.Nil(t, log[0].Payload)
	}
}

func TestRowsByName(t *testing.T) {
	t.Parallel()

	pool := pgtest.Pool(t, pgtest.Migrated(t))
	all := sampleLog()
	for i := range all {
		all[i].Payload = json.RawMessage(strings.TrimSpace(string(all[i].Payload)))
	}
	write(t, pool, all)
	rows, err := pool.Query(t.Context(), `SELECT * FROM outbox.delivery_log ORDER BY delivery_id DESC`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Delivery])
	require.NoError(t, err, "the fields are the view's columns")
	require.Equal(t, all, utc(got))

	rows, err = pool.Query(t.Context(), `SELECT * FROM outbox.attempts`)
	require.NoError(t, err)
	_, err = pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Attempt])
	require.NoError(t, err, "the fields are the table's columns")
}

func TestAttempts(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	want := []outbox.Attempt{
		{DeliveryID: number(1), Number: 1, StartedAt: at(1), DurationMS: 15000, ErrorClass: ptr(outbox.ClassTimeout),
			Error: ptr("no answer within 15s")},
		{DeliveryID: number(1), Number: 2, StartedAt: at(2), DurationMS: 12, ResponseCode: ptr(200), ResponseBody: ptr("ok")},
	}
	pool := pgtest.Pool(t, url)
	for _, a := range []outbox.Attempt{want[1], want[0], {DeliveryID: number(2), Number: 1}} {
		_, err := pool.Exec(t.Context(), `
			INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms, response_code, error_class, error,
			  response_body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			a.DeliveryID, a.Number, a.StartedAt, a.DurationMS, a.ResponseCode, a.ErrorClass, a.Error, a.ResponseBody)
		require.NoError(t, err)
	}
	for _, host := range hosts(t, url) {
		got, err := host.attempts(t.Context(), number(1))
		require.NoError(t, err, host.name)
		for i := range got {
			got[i].StartedAt = got[i].StartedAt.UTC()
		}
		require.Equal(t, want, got, host.name)

		got, err = host.attempts(t.Context(), number(3))
		require.NoError(t, err, host.name)
		require.Empty(t, got, host.name)
	}
}

func TestDeliveryAsJSON(t *testing.T) {
	t.Parallel()

	text, err := json.Marshal(sampleLog()[4])
	require.NoError(t, err)
	require.JSONEq(t, `{
		"delivery_id": "00000000-0000-8000-8000-000000000002", "event_id": "00000000-0000-8000-8000-000000000002",
		"event_type": "user.invited", "tenant": "default", "user_id": "42",
		"subscription_id": "00000000-0000-4000-8000-00000000000b", "url": "https://example.com/hooks",
		"status": "rejected", "attempts": 1, "response_code": 410, "error": null,
		"created_at": "2026-03-04T12:06:00.123456Z", "last_attempt_at": "2026-03-04T12:06:00.123456Z",
		"next_attempt_at": null, "finished_at": "2026-03-04T12:06:00.123456Z", "payload": {"n": 2},
		"error_class": null, "replay_of": "00000000-0000-8000-8000-000000000099"}`, string(text))
}

// However large the log, that of a user is found by its index, also page by page.
func TestLogOfAUserUsesItsIndex(t *testing.T) {
	t.Parallel()

	pool := pgtest.Pool(t, pgtest.Migrated(t))
	_, err := pool.Exec(t.Context(), `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, finished_at, status, event_type,
		  tenant, user_id, url)
		SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() - n * interval '1 second', now(), 'accepted',
		       'a', 'default', n % 1000, 'https://example.com'
		  FROM generate_series(1, 50000) AS n`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `ANALYZE outbox.deliveries`)
	require.NoError(t, err)

	first, err := outbox.Log(t.Context(), pool, outbox.Filter{UserID: "42", Limit: 10})
	require.NoError(t, err)
	require.Len(t, first, 10)
	for _, filter := range []outbox.Filter{{UserID: "42"}, {UserID: "42", Before: first[9].Cursor()}} {
		plan := explain(t, pool, filter)
		require.Contains(t, plan, "deliveries_user_idx")
		require.NotContains(t, plan, "Seq Scan on deliveries")
	}
	plan := explain(t, pool, outbox.Filter{})
	require.Contains(t, plan, "deliveries_log_idx", "the newest of all use an index as well")
}

// explainer has Postgres plan a query instead of running it.
type explainer struct {
	outbox.DB
	plan string
}

var errPlanned = errors.New("planned, not run")

func (e *explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := e.DB.Query(ctx, "EXPLAIN "+sql, args...)
	if err != nil {
		return nil, err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	e.plan = strings.Join(lines, "\n")
	return nil, errors.Join(errPlanned, err)
}

func explain(t *testing.T, db outbox.DB, filter outbox.Filter) string {
	t.Helper()
	e := explainer{DB: db}
	_, err := outbox.Log(t.Context(), &e, filter)
	require.ErrorIs(t, err, errPlanned)
	return e.plan
}
