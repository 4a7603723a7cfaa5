package outbox_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

// row is a row of outbox.events as Postgres has it.
type row struct {
	ID        uuid.UUID
	Type      string
	Tenant    string
	UserID    *string
	Payload   string
	CreatedAt time.Time
}

const selectEvents = `SELECT id, type, tenant, user_id, payload::text, created_at FROM outbox.events`

func readEvents(t *testing.T, db outbox.DB, ids []uuid.UUID) []row {
	t.Helper()
	rows, err := db.Query(t.Context(),
		selectEvents+` JOIN unnest($1::uuid[]) WITH ORDINALITY AS given(id, place) USING (id) ORDER BY place`, ids)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	require.NoError(t, err)
	return events
}

var (
	ada      = "42"
	odd      = `a'b"c\d{e},f NULL $1 ` + "\n\t\x01\u2028é😀"
	lastYear = time.Date(2025, 2, 3, 4, 5, 6, 123456789, time.FixedZone("", 3*3600))
)

// Each event as it is given, and what must be in the table. A zero id or time stands for one made at the insert.
var roundTrips = []struct {
	event outbox.Event
	want  row
}{
	{
		outbox.Event{Type: "user.invited", Payload: json.RawMessage(`{}`)},
		row{Type: "user.invited", Tenant: "default", Payload: `{}`},
	},
	{
		outbox.Event{Type: "user.invited", Tenant: "acme", UserID: "42", Payload: []byte(`[1]`),
			CreatedAt: lastYear},
		row{Type: "user.invited", Tenant: "acme", UserID: &ada, Payload: `[1]`,
			CreatedAt: lastYear.Truncate(time.Microsecond)},
	},
	{ // Bytes, key order and duplicates stay as they are.
		outbox.Event{Type: "a", Payload: json.RawMessage(" \r\n\t{\"b\" : 1.00e+2,\"a\":\"\\u0000\\ud800\\/<é>\",  \"a\":{}}\n ")},
		row{Type: "a", Tenant: "default", Payload: " \r\n\t{\"b\" : 1.00e+2,\"a\":\"\\u0000\\ud800\\/<é>\",  \"a\":{}}\n "},
	},
	{ // What means something in an array, in a statement or to a driver.
		outbox.Event{Type: "A-1._", Tenant: odd, UserID: odd, Payload: `"{\"a\",NULL} '$1' ? \\ 'b'''"`},
		row{Type: "A-1._", Tenant: odd, UserID: &odd, Payload: `"{\"a\",NULL} '$1' ? \\ 'b'''"`},
	},
	{
		outbox.Event{Type: "NULL", Tenant: "NULL", UserID: "NULL", Payload: `null`},
		row{Type: "NULL", Tenant: "NULL", UserID: ptr("NULL"), Payload: `null`},
	},
	{
		outbox.Event{Type: "a", Payload: struct {
			Email string `json:"email"`
		}{"ada@example.com"}},
		row{Type: "a", Tenant: "default", Payload: `{"email":"ada@example.com"}`},
	},
	{
		outbox.Event{Type: "a", Payload: 7, CreatedAt: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)},
		row{Type: "a", Tenant: "default", Payload: `7`, CreatedAt: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)},
	},
	{
		outbox.Event{Type: "a", Payload: `0`, CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		row{Type: "a", Tenant: "default", Payload: `0`,
			CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)},
	},
	{ // As deep as encoding/json goes.
		outbox.Event{Type: "deep", Payload: strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)},
		row{Type: "deep", Tenant: "default", Payload: strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)},
	},
}

func ptr[T any](v T) *T { return &v }

func TestInsert(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	for _, host := range hosts(t, url) {
		t.Run(host.name, func(t *testing.T) {
			events := make([]outbox.Event, 0, len(roundTrips))
			for _, tt := range roundTrips {
				events = append(events, tt.event)
			}
			events[1].ID = uuid.New()

			ids, err := host.insert(t.Context(), events...)
			require.NoError(t, err)
			got := readEvents(t, pool, ids)
			require.Len(t, got, len(roundTrips))
			for i, tt := range roundTrips {
				want := tt.want
				if want.ID = events[i].ID; want.ID == uuid.Nil {
					require.EqualValues(t, 7, got[i].ID.Version())
					require.Equal(t, uuid.RFC4122, got[i].ID.Variant())
					want.ID = ids[i]
				}
				if want.CreatedAt.IsZero() {
					require.WithinDuration(t, time.Now(), got[i].CreatedAt, time.Minute)
					want.CreatedAt = got[i].CreatedAt
				}
				require.Truef(t, want.CreatedAt.Equal(got[i].CreatedAt), "%v is not %v", got[i].CreatedAt, want.CreatedAt)
				want.CreatedAt = got[i].CreatedAt
				require.Equal(t, want, got[i])
			}
			require.Equal(t, uuid.Nil, roundTrips[0].event.ID, "what the caller holds is left alone")
		})
	}
}

func TestInsertManyEvents(t *testing.T) {
	t.Parallel()

	const n = 100_000 // four columns of it are far more than the 65,535 parameters of a statement
	pool := pgtest.Pool(t, pgtest.Migrated(t))
	events := make([]outbox.Event, n)
	for i := range events {
		events[i] = outbox.Event{Type: "row.added", UserID: fmt.Sprint(i % 100), Payload: fmt.Appendf(nil, `{"n": %d}`, i)}
	}
	ids, err := outbox.Insert(t.Context(), pool, events...)
	require.NoError(t, err)

	var inOrder int
	require.NoError(t, pool.QueryRow(t.Context(), `
		SELECT count(*)
		  FROM unnest($1::uuid[]) WITH ORDINALITY AS given(id, place)
		  JOIN outbox.events AS e USING (id)
		 WHERE e.payload::text = '{"n": ' || place - 1 || '}'`, ids).Scan(&inOrder))
	require.Equal(t, n, inOrder)
	for i := 1; i < n; i++ {
		require.Less(t, ids[i-1].String(), ids[i].String(), "the ids made are in the order of the events")
	}
}

func TestInsertFollowsTheTransaction(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	pool := pgtest.Pool(t, pgtest.Migrated(t))
	event := func(typ string) outbox.Event { return outbox.Event{Type: typ, Payload: `{}`} }

	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	_, err = outbox.Insert(ctx, tx, event("rolled.back"))
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ctx))

	tx, err = pool.Begin(ctx)
	require.NoError(t, err)
	_, err = outbox.Insert(ctx, tx, event("kept.before"))
	require.NoError(t, err)
	savepoint, err := tx.Begin(ctx)
	require.NoError(t, err)
	_, err = outbox.Insert(ctx, savepoint, event("rolled.back"))
	require.NoError(t, err)
	require.NoError(t, savepoint.Rollback(ctx))
	// A faulty event is found here, so Postgres never gets to end the transaction.
	_, err = outbox.Insert(ctx, tx, event("not valid"))
	require.ErrorAs(t, err, new(*outbox.EventError))
	_, err = outbox.Insert(ctx, tx, event("kept.after"))
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))

	rows, err := pool.Query(ctx, `SELECT type FROM outbox.events ORDER BY id`)
	require.NoError(t, err)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"kept.before", "kept.after"}, types)
}

func TestInsertedAtTheStartOfTheTransaction(t *testing.T) {
	t.Parallel()

	tx, err := pgtest.Pool(t, pgtest.Migrated(t)).Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // nothing to keep
	var now time.Time
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT now()`).Scan(&now))
	ids, err := outbox.Insert(t.Context(), tx, outbox.Event{Type: "a", Payload: `1`})
	require.NoError(t, err)
	require.Equal(t, now, readEvents(t, tx, ids)[0].CreatedAt)
}

func TestInsertTwiceWithOneID(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	for _, host := range hosts(t, url) {
		event := outbox.Event{ID: uuid.New(), Type: "order.paid", Payload: `{}`}
		_, err := host.insert(t.Context(), event)
		require.NoError(t, err, host.name)
		_, err = host.insert(t.Context(), event)
		var state interface{ SQLState() string }
		require.ErrorAs(t, err, &state, host.name)
		require.Equal(t, "23505", state.SQLState(), host.name)
	}
}

func TestInsertSaysWhatIsMissing(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	url := pgtest.Migrated(t)
	event := outbox.Event{Type: "a", Payload: `{}`}

	_, err := outbox.Insert(ctx, connect(t, pgtest.Role(t, url)), event)
	require.ErrorContains(t, err,
		"insert events (the role needs GRANT USAGE ON SCHEMA outbox and GRANT INSERT ON outbox.events): ")
	require.ErrorAs(t, err, new(*pgconn.PgError))

	_, err = pgtest.Pool(t, url).Exec(ctx, `DROP SCHEMA outbox CASCADE`)
	require.NoError(t, err)
	for _, host := range hosts(t, url) {
		_, err = host.insert(ctx, event)
		require.ErrorContains(t, err,
			"insert events (run relay init, or psql -f schema.sql, on this database first): ", host.name)
	}
}
