package relay

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestDispatcherSpillsAfterHalfASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(10, 10)
		go b.watch(ctx)
		hanging, slow := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		b.lasts(hanging, -1)
		b.lasts(slow, staleAfter-time.Millisecond)
		b.give(slow, 1)
		d, _ := b.give(hanging, 1)
		require.False(t, b.owned())
		b.pass(staleAfter)
		require.Empty(t, b.spills, "not yet, and the other was quick enough")
		b.pass(watchEvery)
		require.Len(t, b.spills, 1)
		require.Same(t, d, b.spills[0].d)
		require.Equal(t, spillInFlight, b.spills[0].kind, "with a lease for the request under way")
		require.True(t, b.owned(), "it holds up the slot no longer")
		require.Zero(t, b.counted, "nor the limit of all")
		require.Zero(t, b.held)
		require.Positive(t, b.slow)
		require.Equal(t, 1, b.flying(hanging), "the request goes on")
		b.pass(time.Minute)
		require.Len(t, b.spills, 1, "once")
		close(b.hung)
		b.pass(time.Second)
		require.Contains(t, b.done, d, "and is recorded")
		b.requireEmpty(t)
	})
}

// What has its outcome and waits for the recorder is not written down as pending any more.
func TestDispatcherSpillsNothingThatIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(10, 10)
		go b.watch(ctx)
		written := make(chan struct{})
		b.record = func(d *delivery) { <-written; b.saved([]*delivery{d}) }
		b.give(testSubscription("default", true, "*"), 1)
		b.pass(10 * time.Second)
		require.Empty(t, b.spills)
		require.False(t, b.owned())
		close(written)
		b.pass(0)
		b.requireEmpty(t)
	})
}

func TestDispatcherSpillsTheQueueOfAStaleLane(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(100, 4)
		go b.watch(ctx)
		stuck, moving := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		b.lasts(stuck, -1)
		b.lasts(moving, 300*time.Millisecond)
		for range 10 {
			b.give(stuck, 1)
			b.give(moving, 1)
		}
		claimed := testDelivery(stuck, 1)
		claimed.claimed, claimed.spilled = true, true
		b.hold(claimed.event, 1)
		b.startClaimed(claimed)
		b.pass(staleAfter + 2*watchEvery)
		kinds := make(map[spillKind]int)
		for _, s := range b.spills {
			require.Equal(t, stuck.id, s.d.sub.id, "a lane that moves keeps its queue")
			kinds[s.kind]++
		}
		require.Equal(t, map[spillKind]int{spillInFlight: 4, spillUnsent: 6}, kinds)
		require.True(t, b.lanes[stuck.id].backlog, "the claimer is to bring them back")
		require.Equal(t, []*delivery{claimed}, b.lanes[stuck.id].queue, "it is in the database already")
		_, v := b.give(stuck, 1)
		require.Equal(t, hanging, v, "the next is not even queued")
		_, v = b.give(moving, 1)
		require.Equal(t, taken, v)
		close(b.hung)
		b.pass(idleLane + time.Minute)
		require.Positive(t, b.kicks)
		b.requireEmpty(t)
		require.Empty(t, b.lanes, "lanes with nothing to do are closed")
	})
}

// A lane that hangs is no stale one as long as what was claimed for it fails again and again, before what waits in it.
func TestDispatcherSpillsWhatWaitsBehindRetries(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(100, 64)
		go b.watch(ctx)
		s := testSubscription("default", true, "*")
		b.lasts(s, 400*time.Millisecond)
		b.failing(s, true)
		claim := func() {
			d := testDelivery(s, 1)
			d.claimed, d.spilled = true, true
			b.hold(d.event, 1)
			b.startClaimed(d)
		}
		for range 2 * firstWindow {
			claim()
		}
		waits, v := b.give(s, 1)
		require.Equal(t, taken, v)
		for began := time.Now(); time.Since(began) < queuedTooLong+2*watchEvery; b.pass(400 * time.Millisecond / firstWindow) {
			claim()
		}
		require.True(t, waits.started.IsZero(), "it has not had its turn")
		require.Len(t, b.spills, 1, "so the database has it, and the slot moves on")
		require.Equal(t, waits, b.spills[0].d)
		require.Equal(t, spillUnsent, b.spills[0].kind)
		b.pass(time.Minute)
		b.requireEmpty(t)
	})
}

func TestDispatcherLimits(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		const limit, laneLimit = 20, 12
		b := newBench(limit, laneLimit)
		var subs []*subscription
		for range 4 {
			s := testSubscription("default", true, "*")
			b.lasts(s, 100*time.Millisecond)
			subs = append(subs, s)
		}
		for range 100 {
			for _, s := range subs {
				b.give(s, 1)
			}
		}
		b.pass(0)
		for _, s := range subs {
			require.Equal(t, limit/4, b.flying(s), "the limit of all")
		}
		b.pass(time.Minute)
		for _, s := range subs {
			require.LessOrEqual(t, b.most[s.id], laneLimit)
		}
		require.Len(t, b.begun, 400)
		b.requireEmpty(t)
	})
}

func TestDispatcherGuaranteesTwoToEach(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(8, 8)
		greedy, modest := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		b.lasts(greedy, -1)
		b.lasts(modest, -1)
		for range 8 {
			b.give(greedy, 1)
			b.give(modest, 1)
		}
		for range 8 {
			b.give(greedy, 1)
		}
		b.pass(0)
		require.GreaterOrEqual(t, b.flying(modest), guaranteedInFlight)
		for range 3 {
			late := testSubscription("default", true, "*")
			b.lasts(late, -1)
			for range 5 {
				b.give(late, 1)
			}
			b.pass(0)
			require.Equal(t, guaranteedInFlight, b.flying(late), "though all lanes together are at the limit")
		}
		close(b.hung)
		b.pass(time.Second)
		b.requireEmpty(t)
	})
}

func TestDispatcherWindow(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(1000, 100)
		s := testSubscription("default", true, "*")
		b.lasts(s, 10*time.Millisecond)
		window := func() int {
			b.dispatcher.mu.Lock()
			defer b.dispatcher.mu.Unlock()
			return b.lanes[s.id].window
		}
		finish := func(n int) {
			for range n {
				b.give(s, 1)
			}
			b.pass(time.Second)
		}
		finish(1)
		require.Equal(t, firstWindow+1, window(), "one more with each answer")
		finish(250)
		finish(250)
		require.Equal(t, 100, window(), "up to the limit of a lane")
		require.Equal(t, 100, b.most[s.id])
		b.failing(s, true)
		finish(1)
		require.Equal(t, 50, window(), "half with each failure")
		finish(10)
		require.Equal(t, firstWindow, window(), "no less than at first")
		b.failing(s, false)
		finish(10)
		require.Equal(t, firstWindow+10, window())
		b.attempt = func(_ *Client, d *delivery) { d.outcome = Outcome{Aborted: true} }
		finish(10)
		require.Equal(t, firstWindow+10, window(), "what was called off says nothing of the URL")
		b.requireEmpty(t)
	})
}

func TestDispatcherBoundsBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(1000, 1000)
		s := testSubscription("default", true, "*")
		b.lasts(s, -1)
		const big = laneFlightBytes / 2
		_, v := b.give(s, 2*laneFlightBytes)
		require.Equal(t, taken, v, "one is always let through")
		_, v = b.give(s, big)
		require.Equal(t, taken, v)
		b.pass(0)
		require.Equal(t, 1, b.flying(s), "waits: enough bytes are in flight")
		_, v = b.give(s, laneQueueBytes)
		require.Equal(t, busy, v, "and enough wait")
		require.False(t, b.overfull())
		other := testSubscription("default", true, "*")
		b.lasts(other, -1)
		b.give(other, streamBytes)
		require.True(t, b.overfull())
		go b.watch(ctx)
		b.pass(staleAfter + 2*watchEvery)
		require.False(t, b.overfull(), "what is slow does not hold up the stream")
		require.Greater(t, b.slow, int64(slowBytes))
		require.Zero(t, b.roomFor(s.id, s.limits), "nothing more of it is claimed")
		fresh := testSubscription("default", true, "*")
		require.Positive(t, b.roomFor(fresh.id, fresh.limits), "only for those with nothing in flight")
		_, v = b.give(other, 1)
		require.Equal(t, hanging, v)
		_, v = b.give(fresh, 1)
		require.Equal(t, taken, v)
		close(b.hung)
		b.pass(time.Second)
		b.requireEmpty(t)
	})
}

// An event that goes to thousands of subscriptions takes memory for each, however small its body is.
func TestDispatcherCountsDeliveriesAsWellAsBodies(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(10, 10)
		const fanOut = streamBytes / deliveryBytes
		d := testDelivery(testSubscription("default", true, "*"), 1)
		b.hold(d.event, fanOut)
		require.True(t, b.overfull())
		b.releaseN(d.event, fanOut)
		require.False(t, b.overfull())
		b.requireEmpty(t)

		go b.watch(ctx)
		for range 100 {
			s := testSubscription("default", true, "*")
			b.lasts(s, -1)
			b.give(s, 1)
		}
		b.pass(staleAfter + 2*watchEvery)
		require.Zero(t, b.held, "hanging ones hold up nobody")
		close(b.hung)
		b.pass(0)
		b.requireEmpty(t)
	})
}

func TestDispatcherSharesFairly(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(16, 64)
		var subs []*subscription
		for range 8 {
			s := testSubscription("default", true, "*")
			b.lasts(s, 10*time.Millisecond)
			subs = append(subs, s)
			for range laneQueueLength {
				b.give(s, 1)
			}
		}
		b.pass(time.Second)
		served := make(map[uuid.UUID]int)
		for _, d := range b.begun {
			served[d.sub.id]++
		}
		for _, s := range subs {
			require.InEpsilon(t, len(b.begun)/len(subs), served[s.id], 0.1)
		}
		b.pass(time.Minute)
		b.requireEmpty(t)
	})
}

func TestDispatcherSaysWhenThereIsRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(10, 1)
		s := testSubscription("default", true, "*")
		b.lasts(s, 10*time.Millisecond)
		for range laneQueueLength + 1 {
			_, v := b.give(s, 1)
			require.Equal(t, taken, v)
		}
		d := testDelivery(s, 1)
		b.hold(d.event, 1)
		require.Equal(t, busy, b.offer(d))
		began := time.Now()
		<-b.room
		require.Equal(t, b.takes[s.id], time.Since(began), "once something was done")
		b.pass(0)
		require.Equal(t, taken, b.offer(d))
		b.pass(time.Minute)
		b.requireEmpty(t)
	})
}

func TestDispatcherForgetsQueues(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(10, 1)
		s, other := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		fill := func() *delivery {
			b.lasts(s, time.Second)
			b.lasts(other, time.Second)
			for range 5 {
				b.give(s, 1)
				b.give(other, 1)
			}
			claimed := testDelivery(s, 1)
			claimed.claimed, claimed.spilled = true, true
			b.hold(claimed.event, 1)
			b.startClaimed(claimed)
			b.pass(0)
			return claimed
		}
		fill()
		q := b.clear(s.id)
		require.Len(t, q, 5, "what waits for one")
		for _, d := range q {
			b.release(d)
		}
		require.Nil(t, b.clear(uuid.New()))
		b.pass(10 * time.Second)
		require.Len(t, b.done, 1+5)
		b.requireEmpty(t)

		b.done = nil
		fill()
		require.Empty(t, b.dropQueues(false))
		require.False(t, b.owned(), "two are in flight")
		b.pass(10 * time.Second)
		require.Len(t, b.done, 3, "in flight, and claimed")
		require.True(t, b.owned())
		b.requireEmpty(t)

		b.done = nil
		claimed := fill()
		b.stop()
		require.Equal(t, []*delivery{claimed}, b.dropQueues(true))
		_, v := b.give(s, 1)
		require.Equal(t, taken, v)
		b.pass(10 * time.Second)
		require.Len(t, b.done, 2, "nothing begins after a stop")
		require.Zero(t, b.roomFor(s.id, s.limits))
		b.dropQueues(true)
		b.workers.Wait()
		b.requireEmpty(t)
	})
}

// The claimer is woken while the database has something for a lane, and no longer.
func TestDispatcherWakesTheClaimerForABacklogAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(10, 10)
		s := testSubscription("default", true, "*")
		finish := func() int {
			before := b.kicks
			for range 5 {
				b.give(s, 1)
				b.pass(time.Second)
			}
			return b.kicks - before
		}
		require.Zero(t, finish())
		b.setBacklog(s.id)
		require.Equal(t, 5, finish())
		b.forgetBacklogs()
		require.Zero(t, finish())
	})
}

// Requests that hang hold up what else goes to their URL only once there are as many as it may have at all.
func TestDispatcherSendsBesideWhatHangs(t *testing.T) {
	const most = 32
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(1000, most)
		go b.watch(ctx)
		s := testSubscription("default", true, "*")
		claim := func() {
			d := testDelivery(s, 1)
			d.claimed, d.spilled = true, true
			b.hold(d.event, 1)
			b.startClaimed(d)
		}
		b.lasts(s, -1)
		began := time.Now()
		for b.flying(s) < most-most/8 {
			for range b.roomFor(s.id, limits{}) {
				claim()
			}
			b.pass(watchEvery)
			require.Less(t, time.Since(began), most/firstWindow*2*staleAfter, "%d in flight", b.flying(s))
		}
		b.pass(time.Second)
		require.Zero(t, b.roomFor(s.id, limits{}), "the rest is left to the stream")
		b.lasts(s, time.Millisecond)
		for n := range 100 {
			sent := len(b.begun)
			b.give(s, 1)
			b.pass(2 * time.Millisecond)
			require.Len(t, b.begun, sent+1, "fresh delivery %d", n)
		}
		b.lasts(s, -1)
		for range most / 8 {
			b.give(s, 1)
		}
		b.pass(0)
		require.Equal(t, most, b.flying(s))
		require.Empty(t, b.spills)
		close(b.hung)
		b.pass(time.Second)
		require.Equal(t, most, b.most[s.id], "never more")
		b.requireEmpty(t)
	})
}
