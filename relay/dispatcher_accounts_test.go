package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever happens in whatever order, the accounts agree with what is in hand, and are at zero at the end.
func TestDispatcherAccounts(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		rapid.Check(bubbleTB{t}, func(t *rapid.T) {
			ctx, cancel := context.WithCancel(context.Background())
			limit, laneLimit := rapid.IntRange(1, 30).Draw(t, "limit"), rapid.IntRange(1, 20).Draw(t, "limit of a lane")
			b := newBench(limit, laneLimit)
			b.connections = rapid.SampledFrom([]int{2, 5, 1000}).Draw(t, "connections")
			defer func() {
				cancel()
				b.pass(10 * time.Second)
			}()
			var subs []*subscription
			for range rapid.IntRange(1, 4).Draw(t, "subscriptions") {
				s := testSubscription("default", true, "*")
				s.limits.concurrency = rapid.SampledFrom([]int{0, 0, 1, 30}).Draw(t, "concurrency")
				s.limits.rate = rapid.SampledFrom([]float64{0, 0, 5, 1000}).Draw(t, "rate")
				subs = append(subs, s)
			}
			go b.watch(ctx)
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				s := rapid.SampledFrom(subs).Draw(t, "subscription")
				switch rapid.IntRange(0, 11).Draw(t, "step") {
				case 0:
					b.lasts(s, time.Duration(rapid.SampledFrom([]int{1, 40, 450, 700, 3000}).Draw(t, "takes"))*time.Millisecond)
				case 1:
					b.failing(s, !b.fails[s.id])
				case 2, 3, 4, 5:
					size := rapid.SampledFrom([]int{1, 1 << 20, 5 << 20}).Draw(t, "size")
					for range rapid.IntRange(1, 40).Draw(t, "events") {
						b.giveAll(subs, s, size)
					}
				case 6:
					for range min(b.roomFor(s.id, s.limits), rapid.IntRange(1, 5).Draw(t, "claimed")) {
						d := testDelivery(s, 1000)
						d.claimed, d.spilled = true, true
						b.hold(d.event, 1)
						b.startClaimed(d)
					}
				case 7:
					for _, d := range b.clear(s.id) {
						b.release(d)
					}
				case 8:
					b.dropQueues(rapid.Bool().Draw(t, "claimed too"))
				default:
					b.pass(time.Duration(rapid.SampledFrom([]int{1, 30, 200, 900}).Draw(t, "pass")) * time.Millisecond)
				}
				b.pass(0)
				b.requireAccounts(t)
			}
			b.pass(5 * time.Minute) // All that waits is sent, without a push from outside.
			b.requireEmpty(t)
		})
	})
}

// giveAll offers an event to one subscription, or to all.
func (b *bench) giveAll(subs []*subscription, s *subscription, bodyBytes int) {
	if bodyBytes > 1 {
		b.give(s, bodyBytes)
		return
	}
	e := &event{id: uuid.New(), size: int64(bodyBytes) + eventOverheadBytes}
	b.hold(e, len(subs))
	for _, s := range subs {
		d := &delivery{id: deliveryID(e.id, s.id), event: e, sub: s}
		if b.offer(d) != taken {
			b.release(d)
		}
	}
}

// requireAccounts compares the accounts with what is in the lanes.
func (b *bench) requireAccounts(t *rapid.T) {
	p := b.dispatcher
	p.mu.Lock()
	defer p.mu.Unlock()
	var all, counted, doubted, queues, unowned int
	held, slow := int64(0), int64(0)
	bodies := make(map[*event]bool)
	account := func(d *delivery) {
		if d.slow {
			slow += deliveryBytes
		} else {
			held += deliveryBytes
		}
		if !bodies[d.event] {
			bodies[d.event] = true
			if d.event.slow {
				slow += d.event.size
			} else {
				held += d.event.size
			}
		}
		if !d.claimed && !d.spilled {
			unowned++
		}
	}
	for _, l := range p.lanes {
		running, ofLane := 0, 0
		var flying, waiting int64
		for d := l.oldest; d != nil; d = d.newer {
			account(d)
			running++
			flying += d.event.size
			if d.counted {
				ofLane++
			}
			if d.doubted {
				doubted++
			}
			require.True(t, d.newer != nil || l.newest == d, "the list ends with the newest")
		}
		for _, d := range l.queue {
			account(d)
			waiting += d.event.size
		}
		all += running
		counted += ofLane
		if len(l.queue) > 0 {
			queues++
			require.True(t, l.running > 0 || l.waiting || l.pace.timer != nil, "a queue that nothing would ever take from")
		}
		require.Equal(t, running, l.running)
		require.Equal(t, flying, l.runningBytes)
		require.Equal(t, waiting, l.queueBytes)
		require.Equal(t, ofLane, l.counted)
		require.LessOrEqual(t, l.running, l.most(p.laneLimit))
		require.Equal(t, l.waiting, slices.Contains(p.waiting, l))
	}
	require.Equal(t, all, p.running)
	require.Equal(t, doubted, p.doubted)
	require.LessOrEqual(t, all, p.connections)
	require.Equal(t, counted, p.counted)
	require.LessOrEqual(t, counted, p.limit+guaranteedInFlight*len(p.lanes))
	require.Equal(t, queues, p.queues)
	require.Equal(t, unowned, p.unowned)
	require.Equal(t, held, p.held)
	require.Equal(t, slow, p.slow)
}
