package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What has its outcome counts until that is written: together with what is in flight, that is what a crash has sent twice. A lane has
// what is guaranteed to it all the same.
func TestDispatcherBoundsWhatIsNotWritten(t *testing.T) {
	const limit = 10
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(limit, 100)
		var ended []*delivery
		b.record = func(d *delivery) {
			b.mu.Lock()
			defer b.mu.Unlock()
			ended = append(ended, d)
		}
		write := func(n int) {
			b.saved(slices.Clone(ended[:n]))
			ended = ended[n:]
			b.pass(time.Second)
		}
		busy, other := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		for range 3 * limit {
			b.give(busy, 1)
		}
		b.pass(time.Second)
		require.Len(t, ended, limit, "the recorder has written none")
		for range limit {
			b.give(other, 1)
		}
		b.pass(time.Second)
		require.Len(t, ended, limit+guaranteedInFlight)
		write(3)
		require.Len(t, ended, limit)
		for len(ended) > 0 {
			write(1)
		}
		require.Equal(t, limit, b.count(func(b *bench) (n int) {
			for _, d := range b.begun {
				if d.sub == other {
					n++
				}
			}
			return n
		}))
		b.requireEmpty(t)
	})
}

// A recorder that is slow makes no URL look as if it hung: requests that were answered have left their lane.
func TestDispatcherTellsASlowRecorderFromAHangingURL(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(4, 4)
		go b.watch(ctx)
		written := make(chan struct{})
		b.record = func(d *delivery) { // As the recorder does with a long backlog.
			<-written
			b.saved([]*delivery{d})
		}
		s := testSubscription("default", true, "*")
		b.lasts(s, time.Millisecond)
		for range 10 {
			b.give(s, 1)
		}
		b.pass(4 * staleAfter)
		require.Zero(t, b.inFlight())
		require.Empty(t, b.spills)
		_, v := b.give(s, 1)
		require.Equal(t, taken, v)
		close(written)
		b.pass(time.Second)
		b.requireEmpty(t)
	})
}

// A lane is kept until what it sent is written: the next one would know nothing of it.
func TestDispatcherKeepsALaneWhoseOutcomesAreNotWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(2, 64)
		var unwritten []*delivery
		b.record = func(d *delivery) { unwritten = append(unwritten, d) }
		go b.watch(ctx)
		s := testSubscription("default", true, "*")
		b.give(s, 1)
		b.pass(2 * idleLane)
		require.Contains(t, b.lanes, s.id)
		b.saved(unwritten)
		b.pass(time.Second)
		require.NotContains(t, b.lanes, s.id)
	})
}
