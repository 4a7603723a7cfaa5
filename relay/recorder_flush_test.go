package relay

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
)

// Many new rows are copied. Where the database refuses that for what is in them, or copies nothing at all, a statement writes
// them.
func TestRecorderCopiesMany(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		var copied []int
		var failure error
		b.copy = func(_ context.Context, rows []*store.Record) error {
			copied = append(copied, len(rows))
			return failure
		}
		go b.run(ctx)
		sub := testSubscription("default", true, "*")
		put := func(n int) {
			b.writes = nil
			var all []entry
			for range n {
				d := testDelivery(sub, 1)
				answered(d)
				all = append(all, entry{kind: entryOutcome, d: d})
			}
			b.put(all...)
			b.pass(time.Second)
			require.True(t, b.idle())
		}
		put(copyFrom - 1)
		require.Empty(t, copied)
		require.Len(t, b.writes, 1, "few: a statement")
		require.Equal(t, "record_new", b.writes[0].statement)
		put(copyFrom)
		require.Equal(t, []int{copyFrom}, copied)
		require.Empty(t, b.writes)
		for _, code := range []string{"23505", "22021", "0A000"} {
			failure = &pgconn.PgError{Code: code}
			put(copyFrom)
			require.Len(t, b.writes, 1, code)
			require.Equal(t, "record", b.writes[0].statement)
			require.Len(t, b.writes[0].ids, copyFrom)
		}
		require.Zero(t, b.alarms.Load())
	})
}
