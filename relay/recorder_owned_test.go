package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A statement that waits, for a lock or a standby, fails by nothing; somebody should know.
func TestRecorderSaysThatOutcomesWait(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		b.takes = recordSlow + 2*time.Second
		r := Relay{leading: true, recorder: b.recorder}
		b.putAccepted(testSubscription("default", true, "*"))
		go b.run(ctx)
		for after, want := range []bool{true, false, true} {
			ready, why := r.Ready()
			require.Equal(t, want, ready, "%d: %s", after, why)
			b.pass(recordSlow + time.Second)
		}
	})
}

// Thousands of requests that time out at once hold up nobody else's outcomes, nor the stream; and they have their turn.
func TestRecorderWritesWhatTheDatabaseOwnsLast(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		b.takes = 50 * time.Millisecond
		hanging, quick := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		timedOut := func() *delivery {
			d := testDelivery(hanging, 1)
			d.spilled = true
			answered(d)
			b.put(entry{kind: entrySpill, d: d})
			return d
		}
		var late []*delivery
		for range 3000 {
			late = append(late, timedOut())
		}
		go b.run(ctx)
		b.pass(time.Second)
		for _, d := range late {
			b.put(entry{kind: entryOutcome, d: d})
		}
		require.False(t, b.backlogged(), "the stream goes on")
		require.True(t, b.burdened(), "nothing more is claimed")
		mark := b.mark()
		for range 20 {
			d := b.putAccepted(quick)
			b.pass(4*b.takes + recordEvery) // The batch under way, and its own, of two statements each.
			require.True(t, recorded(d))
		}
		require.True(t, b.passed(mark))
		require.True(t, b.idle())
	})
}

// However much else there is.
func TestRecorderLeavesAPartToWhatTheDatabaseOwns(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		s := testSubscription("default", true, "*")
		d := testDelivery(s, 1)
		d.claimed = true
		answered(d)
		for range 5 * recordBatch {
			b.putAccepted(s)
		}
		b.put(entry{kind: entryOutcome, d: d})
		go b.run(ctx)
		b.pass(recordEvery + b.takes)
		require.True(t, d.settled)
		require.False(t, b.idle())
	})
}

// The outcome of a delivery comes with its spill or after it, and a sweep after all that was handed over before it.
func TestRecorderKeepsTheOrderOfADelivery(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		s := testSubscription("default", true, "*")
		for range 2 * recordBatch {
			b.putAccepted(s)
		}
		d := testDelivery(s, 1)
		d.spilled = true
		answered(d)
		b.put(entry{kind: entrySpill, d: d}, entry{kind: entryOutcome, d: d}, entry{kind: entrySweep, id: s.id})
		for range recordBatch {
			b.putAccepted(s)
		}
		go b.run(ctx)
		b.pass(time.Second)
		require.True(t, b.idle())
		var wrote, swept int
		for i, w := range b.writes {
			if slices.Contains(w.ids, d.id) {
				wrote = i
			}
			if w.statement == "cancel_subscription" {
				swept = i
			}
		}
		require.Positive(t, wrote)
		require.Greater(t, swept, wrote)
		last := b.writes[wrote]
		require.NotEqual(t, "pending", last.statuses[slices.Index(last.ids, d.id)], "what was last is written last")
	})
}
