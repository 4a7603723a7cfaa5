package relay

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// However many URLs hang, and however large what is due for each: what doesn't fit is left in the database.
func TestClaimerHoldsSoMuchAtMost(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const most = heldByAll + (claimLittle+1)*fetchBytes
		b := newClaimerBench(10_000, 64)
		subs := make([]*subscription, 64)
		for i := range subs {
			subs[i] = testSubscription("default", true, "*")
			b.bench.lasts(subs[i], 15*time.Second)
			for _, r := range b.owe(subs[i], 8, 0) {
				r.payload = fetchBytes
			}
		}
		at := time.Now()
		for ; b.left() > 0; b.pass(claimEvery) {
			require.Less(t, time.Since(at), 15*time.Minute)
			_, err := b.cycle(ctx)
			require.NoError(t, err)
			require.LessOrEqual(t, b.bench.slow+b.bench.held, int64(most))
			if b.left() == 8*len(subs) {
				require.Greater(t, b.bench.slow, int64(slowBytes), "room is used")
			}
		}
		require.NotEmpty(t, b.released)
		require.Less(t, len(b.released), claimMost*int(1+time.Since(at)/(15*time.Second)),
			"not taken up and given back again and again: no more than once while what is held hangs")
		b.pass(time.Minute)
		b.bench.requireEmpty(t)
	})
}

// A URL that is slow and has a large backlog of large bodies keeps nobody else's retries waiting.
func TestClaimerLeavesRoomForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(512, 64)
		greedy := testSubscription("default", true, "*")
		b.bench.lasts(greedy, 8*time.Second)
		l := b.dispatch.lane(greedy.id)
		l.window, l.answers = 64, answering
		for _, r := range b.owe(greedy, 200, 0) {
			r.payload = fetchBytes
		}
		go b.run(ctx)
		for range 20 {
			others := make([]*subscription, 10)
			for i := range others {
				others[i] = testSubscription("default", true, "*")
				b.bench.lasts(others[i], 10*time.Millisecond)
				b.owe(others[i], 5, 0)
			}
			before := b.left()
			b.pass(1500 * time.Millisecond)
			require.LessOrEqual(t, b.left(), before-5*len(others))
			require.LessOrEqual(t, b.bench.slow, int64(2*laneFlightBytes+fetchBytes))
		}
		b.pass(15 * time.Minute)
		require.Zero(t, b.left())
		b.bench.requireEmpty(t)
	})
}
