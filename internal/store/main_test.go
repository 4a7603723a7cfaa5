package store_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

func TestMain(m *testing.M) { pgtest.MainLeak(m) }

// database is a fresh one with the schema, opened as the program does.
func database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, pgtest.Migrated(t))
}

func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// number is an id that people can read.
func number(n int) uuid.UUID { return uuid.MustParse(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

// numberOf is the number of such an id.
func numberOf(t testing.TB, id uuid.UUID) int {
	t.Helper()
	n, err := strconv.Atoi(id.String()[24:])
	require.NoError(t, err)
	return n
}

// begin opens a transaction that ends with the test at the latest.
func begin(t testing.TB, db *pgxpool.Pool) pgx.Tx {
	t.Helper()
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

func ptr[T any](v T) *T { return &v }

// given is a delivery as a test wants it; the rest is filled in.
type given struct {
	id, event, subscription int
	status                  string        // Empty: pending.
	due                     time.Duration // From now, while unfinished.
	lease                   uuid.UUID     // Nil: none.
	age                     time.Duration // Of the event.
}

// put writes deliveries, without their events.
func put(t testing.TB, db store.DB, all ...given) {
	t.Helper()
	for _, g := range all {
		if g.status == "" {
			g.status = "pending"
		}
		pgtest.Execute(t, db, `
			INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, next_attempt_at, finished_at,
			  lease, status, event_type, tenant, url)
			SELECT $1, $2, $3, now() - $4::bigint * interval '1 microsecond', t.due, CASE $5 WHEN 'retrying' THEN t.due END,
			       CASE WHEN t.due IS NULL THEN now() END, nullif($7::uuid, '00000000-0000-0000-0000-000000000000'), $5, 'a',
			       'default', 'https://example.com'
			  FROM (SELECT CASE WHEN $5 IN ('pending', 'retrying') THEN clock_timestamp() + $6::bigint * interval '1 microsecond' END) AS t(due)`,
			number(g.id), number(g.event), number(g.subscription), g.age.Microseconds(), g.status, g.due.Microseconds(), g.lease)
	}
}

// putEvents writes events of an age.
func putEvents(t testing.TB, db store.DB, age time.Duration, ids ...int) {
	t.Helper()
	for _, id := range ids {
		pgtest.Execute(t, db, `INSERT INTO outbox.events (id, type, payload, created_at)
			VALUES ($1, 'a', '{"n": 1}', now() - $2::bigint * interval '1 microsecond')`, number(id), age.Microseconds())
	}
}

// subscribe makes a subscription.
func subscribe(t testing.TB, db store.DB, id int, active bool) {
	t.Helper()
	pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (id, name, url, event_types, active, created_at)
		VALUES ($1, $2, 'https://example.com/' || $2, '{*}', $3, now() - interval '1 year')`, number(id), fmt.Sprint("s", id), active)
}

// statuses are those of all deliveries, by number.
func statuses(t testing.TB, db store.DB) map[int]string {
	t.Helper()
	found := make(map[int]string)
	for _, line := range pgtest.Values[string](t, db, `SELECT id || ' ' || status FROM outbox.deliveries`) {
		id, status, _ := strings.Cut(line, " ")
		found[numberOf(t, uuid.MustParse(id))] = status
	}
	return found
}
