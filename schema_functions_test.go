package outboxrelay_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestUUID7(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	rows, err := conn.Query(t.Context(), `
		SELECT clock_timestamp(), outbox.uuid7(), clock_timestamp() FROM generate_series(1, 20000)`)
	require.NoError(t, err)
	type made struct {
		Before time.Time
		ID     uuid.UUID
		After  time.Time
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[made])
	require.NoError(t, err)

	seen := make(map[uuid.UUID]bool, len(all))
	var last made
	for _, m := range all {
		require.EqualValues(t, 7, m.ID.Version())
		require.Equal(t, uuid.RFC4122, m.ID.Variant())
		ms := int64(m.ID[0])<<40 | int64(m.ID[1])<<32 | int64(m.ID[2])<<24 | int64(m.ID[3])<<16 | int64(m.ID[4])<<8 | int64(m.ID[5])
		require.GreaterOrEqual(t, ms, m.Before.UnixMilli())
		require.LessOrEqual(t, ms, m.After.UnixMilli(), "a millisecond is not begun before it has come")
		if m.Before.UnixMilli() > last.After.UnixMilli() && last.ID != uuid.Nil {
			require.Greater(t, m.ID.String(), last.ID.String(), "in order of time across milliseconds")
		}
		require.False(t, seen[m.ID])
		seen[m.ID] = true
		last = m
	}

	// Everything but version and variant is random: each of the 74 other bits is as often 0 as 1.
	for bit := 48; bit < 128; bit++ {
		if bit/4 == 12 || bit == 64 || bit == 65 {
			continue
		}
		ones := 0
		for _, m := range all {
			ones += int(m.ID[bit/8] >> (7 - bit%8) & 1)
		}
		require.InDelta(t, len(all)/2, ones, 500, "bit %d", bit) // 7 standard deviations
	}
}

// addDelivery writes a delivery as the relay does, with its event.
func addDelivery(t *testing.T, conn *pgx.Conn, status, user string) (delivery uuid.UUID) {
	t.Helper()
	return pgtest.Value[uuid.UUID](t, conn, `
		WITH e AS (
		  INSERT INTO outbox.events (type, tenant, user_id, payload, created_at)
		  VALUES ('user.invited', 'acme', $2, '{"n": 1}', now() - interval '3 days') RETURNING *
		)
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, last_attempt_at, next_attempt_at,
		  finished_at, lease, attempts, response_code, status, event_type, tenant, user_id, url, error_class, error)
		SELECT outbox.delivery_id(e.id, e.id), e.id, e.id, e.created_at, t.due, now(), t.due, CASE WHEN t.due IS NULL THEN now() END,
		       outbox.uuid7(), 16, NULL, $1, e.type, e.tenant, e.user_id, 'https://old.example.com', 'timeout', 'no answer'
		  FROM e, LATERAL (SELECT CASE WHEN $1 IN ('pending', 'retrying') THEN now() + interval '1 hour' END) AS t(due)
		RETURNING id`, status, user)
}

func TestReplay(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	failed := addDelivery(t, conn, "failed", "42")
	pgtest.Execute(t, conn, `INSERT INTO outbox.subscriptions (id, tenant, url, event_types)
		SELECT subscription_id, tenant, 'https://new.example.com', '{*}' FROM outbox.deliveries`)
	const whole = `SELECT row_to_json(d)::text FROM outbox.deliveries AS d WHERE id = $1`
	before := pgtest.Value[string](t, conn, whole, failed)

	replayed := pgtest.Value[uuid.UUID](t, conn, `SELECT outbox.replay($1)`, failed)
	require.NotEqual(t, failed, replayed)
	require.EqualValues(t, 7, replayed.Version())
	require.Equal(t, before, pgtest.Value[string](t, conn, whole, failed), "the failed one stays as it is")
	require.True(t, pgtest.Value[bool](t, conn, `
		SELECT n.replay_of = o.id AND n.status = 'pending' AND n.due_at <= clock_timestamp() AND n.attempts = 0
		   AND (n.event_id, n.subscription_id, n.event_created_at, n.event_type, n.tenant, n.user_id)
		     = (o.event_id, o.subscription_id, o.event_created_at, o.event_type, o.tenant, o.user_id)
		   AND n.url = 'https://new.example.com'
		   AND num_nulls(n.last_attempt_at, n.next_attempt_at, n.finished_at, n.lease, n.response_code, n.error_class, n.error) = 7
		  FROM outbox.deliveries AS n, outbox.deliveries AS o WHERE n.id = $1 AND o.id = $2`, replayed, failed))

	again := pgtest.Value[uuid.UUID](t, conn, `SELECT outbox.replay($1)`, replayed)
	require.Equal(t, replayed, pgtest.Value[uuid.UUID](t, conn, `SELECT replay_of FROM outbox.delivery_log WHERE delivery_id = $1`, again))
}

// It may stand in any query that selects deliveries: each found is replayed once, what it makes is not found.
func TestReplayOfManyInOneQuery(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	for range 50 {
		for _, status := range []string{"failed", "rejected", "accepted", "cancelled", "pending", "retrying"} {
			addDelivery(t, conn, status, "42")
		}
	}
	made := pgtest.Values[uuid.UUID](t, conn, `
		SELECT outbox.replay(delivery_id) FROM outbox.delivery_log WHERE user_id = '42' AND status IN ('failed', 'pending')`)
	require.Len(t, made, 100)
	require.Equal(t, 100, pgtest.Value[int](t, conn, `
		SELECT count(DISTINCT replay_of) FROM outbox.deliveries WHERE id = ANY($1) AND status = 'pending'`, made))
	require.Equal(t, 50, pgtest.Value[int](t, conn, `SELECT count(*) FROM outbox.deliveries WHERE status = 'failed'`))
	require.Equal(t, 400, pgtest.Value[int](t, conn, `SELECT count(*) FROM outbox.deliveries`))
}

func TestReplayOfWhatIsGone(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	expired := addDelivery(t, conn, "failed", "42")
	pgtest.Execute(t, conn, `DELETE FROM outbox.events`)
	for _, id := range []uuid.UUID{expired, uuid.New()} {
		_, err := conn.Exec(t.Context(), `SELECT outbox.replay($1)`, id)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "P0002", refused.Code)
		require.Equal(t, "no delivery "+id.String()+" to replay", refused.Message)
		require.Equal(t, "It does not exist, or its event was removed: of such ones, outbox.delivery_log has no payload.", refused.Hint)
	}
	_, err := conn.Exec(t.Context(), `SELECT outbox.replay(NULL)`)
	require.Error(t, err)
	require.Equal(t, 1, pgtest.Value[int](t, conn, `SELECT count(*) FROM outbox.deliveries`), "nothing was made")
}
