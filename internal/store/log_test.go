package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

func TestReplay(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	subscribe(t, db, 1, true)
	subscribe(t, db, 2, false)
	putEvents(t, db, time.Hour, 100, 101)
	put(t, db, given{id: 10, event: 100, subscription: 1, status: "failed"}, given{id: 11, event: 101, subscription: 2, status: "accepted"},
		given{id: 12, event: 101, subscription: 3, status: "cancelled"}, given{id: 13, event: 102, subscription: 1, status: "failed"})

	made, err := store.Replay(ctx, db, []uuid.UUID{number(12), number(10), number(11), number(10)})
	require.NoError(t, err)
	require.Len(t, made, 4)
	for i, want := range []store.Replayed{
		{ReplayOf: number(12), SubscriptionID: number(3)}, {ReplayOf: number(10), SubscriptionID: number(1), Active: true},
		{ReplayOf: number(11), SubscriptionID: number(2)}, {ReplayOf: number(10), SubscriptionID: number(1), Active: true},
	} {
		want.ID = made[i].ID
		require.Equal(t, want, made[i], "in the order asked for")
		require.Equal(t, "pending", pgtest.Value[string](t, db, `SELECT status FROM outbox.deliveries WHERE id = $1 AND replay_of = $2`, want.ID, want.ReplayOf))
	}

	for _, gone := range []uuid.UUID{number(13), number(99)} { // Its event is gone; it never was.
		_, err = store.Replay(ctx, db, []uuid.UUID{number(10), gone})
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "P0002", refused.Code)
		require.Contains(t, refused.Message, gone.String())
	}
	require.Equal(t, 8, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries`), "all or none")
}

func TestLookForBeginnings(t *testing.T) {
	t.Parallel()

	db := database(t)
	look := func(want store.Beginnings) {
		t.Helper()
		is, err := store.LookForBeginnings(t.Context(), db)
		require.NoError(t, err)
		require.Equal(t, want, is)
	}
	look(store.Beginnings{})
	subscribe(t, db, 1, false)
	putEvents(t, db, 0, 1)
	look(store.Beginnings{Events: true})
	subscribe(t, db, 2, true)
	look(store.Beginnings{Events: true, Subscriptions: true})
}

func TestSchemaCurrent(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := open(t, pgtest.URL(t))
	current := func() bool {
		is, err := store.SchemaCurrent(ctx, db)
		require.NoError(t, err)
		return is
	}
	require.False(t, current(), "there is none")
	conn, err := db.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	require.NoError(t, store.ApplySchema(ctx, conn.Conn()))
	require.True(t, current())
	comment := pgtest.Value[string](t, db, `SELECT obj_description('outbox'::regnamespace)`)
	require.Contains(t, outboxrelay.Schema, comment)
	for other, later := range map[string]bool{
		strings.Replace(comment, "version ", "version 9", 1): true, strings.Replace(comment, "version 7", "version 1", 1): false, "mine": false,
	} {
		pgtest.Execute(t, db, `COMMENT ON SCHEMA outbox IS '`+other+`'`)
		require.Equal(t, later, current(), "a later one is not to be turned back: %s", other)
		is, err := store.SchemaLater(ctx, db)
		require.NoError(t, err)
		require.Equal(t, later, is, other)
	}
	pgtest.Execute(t, db, `COMMENT ON SCHEMA outbox IS NULL`)
	require.False(t, current())
}
