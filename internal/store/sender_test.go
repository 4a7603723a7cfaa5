package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// A process that waits for room in a full connection ends as well.
func TestEndSenderThatWritesToNobody(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	address, name := pgtest.Migrated(t), pgtest.Slot(t)
	db := pgtest.Pool(t, address)
	makeSlot(t, db, name)
	pgtest.Execute(t, db, `INSERT INTO outbox.events (type, payload) SELECT 'a', to_json(repeat('a', 1000000)) FROM generate_series(1, 30)`)
	conn := startReading(t, address, name) // And nobody reads.
	require.Eventually(t, func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Client'`, conn.PID()) == 1
	}, 30*time.Second, 10*time.Millisecond, "the connection is full")
	require.NoError(t, store.EndSender(ctx, db, name, int(conn.PID()), 10*time.Second))
	s, err := store.FindSender(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, s)
}

func makeSlot(t *testing.T, db store.DB, name string) {
	t.Helper()
	require.NoError(t, store.CreatePublication(t.Context(), db, name))
	pgtest.Execute(t, db, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, name)
}

func startReading(t *testing.T, address, slot string) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(address)
	require.NoError(t, err)
	config.RuntimeParams["replication"], config.RuntimeParams["application_name"] = "database", "relay"
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	require.NoError(t, pglogrepl.StartReplication(t.Context(), conn, slot, 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"proto_version '1'", "publication_names '" + slot + "'"},
	}))
	return conn
}

func TestSender(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	address, name := pgtest.Migrated(t), pgtest.Slot(t)
	db, err := store.Open(ctx, address)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	s, err := store.FindSender(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, s, "there is no slot")
	makeSlot(t, db, name)
	s, err = store.FindSender(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, s, "nobody reads it")

	conn := startReading(t, address, name)
	replies := make(map[string]bool)
	for n := range 3 {
		sent := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
		require.NoError(t, pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{
			WALWritePosition: 1, WALFlushPosition: 1, WALApplyPosition: 1, ClientTime: sent,
		}))
		require.Eventually(t, func() bool {
			s, err := store.FindSender(ctx, db, name)
			require.NoError(t, err)
			require.Equal(t, int(conn.PID()), s.PID)
			require.True(t, s.IsRelay)
			if !s.Listens || s.Reply == "" || replies[s.Reply] {
				return false
			}
			require.True(t, sent.Equal(s.RepliedAt), s.RepliedAt)
			replies[s.Reply] = true
			return true
		}, 30*time.Second, 10*time.Millisecond, "it hears a status and waits for the next")
	}

	other := pgtest.Role(t, address)
	stranger, err := store.Open(ctx, other)
	require.NoError(t, err)
	t.Cleanup(stranger.Close)
	s, err = store.FindSender(ctx, stranger, name)
	require.NoError(t, err)
	require.Equal(t, &store.Sender{PID: int(conn.PID()), IsRelay: true}, s, "what a role may not see is not guessed")
	require.Error(t, store.EndSender(ctx, stranger, name, s.PID, time.Second))

	require.NoError(t, store.EndSender(ctx, db, name, s.PID+1, time.Second))
	s, err = store.FindSender(ctx, db, name)
	require.NoError(t, err)
	require.NotNil(t, s, "another process is let be")
	require.NoError(t, store.EndSender(ctx, db, name, s.PID, 30*time.Second))
	s, err = store.FindSender(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, s)
}
