package relay

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
)

// Go and SQL derive the same id, so that stream and scan know each other's deliveries.
func TestDeliveryIDIsThatOfSQL(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	cluster := pgtest.Private(t, postgres.Options{FsyncOff: true})
	pgtest.Migrate(t, cluster.URL("postgres"))
	conn, err := pgx.Connect(ctx, cluster.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(ctx)
	drawUUID := rapid.Custom(func(t *rapid.T) (id uuid.UUID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), len(id), len(id)).Draw(t, "bytes"))
		return id
	})
	rapid.Check(t, func(t *rapid.T) {
		event, subscription := drawUUID.Draw(t, "event"), drawUUID.Draw(t, "subscription")
		var want uuid.UUID
		require.NoError(t, conn.QueryRow(ctx, `SELECT outbox.delivery_id($1, $2)`, event, subscription).Scan(&want))
		got := deliveryID(event, subscription)
		require.Equal(t, want, got)
		require.EqualValues(t, 8, got.Version())
		require.Equal(t, uuid.RFC4122, got.Variant())
		require.Equal(t, event[:6], got[:6], "the event's time")
	})
}
