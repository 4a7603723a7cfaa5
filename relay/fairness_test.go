package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// owed says how many deliveries of a subscription the database still holds.
func (b *claimerBench) owed(sub *subscription) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r.sub == sub.id {
			n++
		}
	}
	return n
}

// records has outcomes written in batches, so many apart; some are unwritten at nearly any time.
func (b *claimerBench) records(ctx context.Context, every time.Duration) {
	ended := make(chan *delivery, 1<<20)
	b.bench.record = func(d *delivery) { ended <- d }
	for ctx.Err() == nil {
		all := make([]*delivery, len(ended))
		for i := range all {
			d := <-ended
			all[i] = d
			b.mu.Lock()
			if r := b.rows[d.id]; r != nil && r.lease == d.lease.token {
				delete(b.rows, d.id)
			}
			b.mu.Unlock()
		}
		time.Sleep(every / 2) // Being written.
		b.bench.saved(all)
		time.Sleep(every / 2)
	}
}

// A relay that the stream keeps at its limits takes up what is due all the same, of subscriptions with nothing else to do.
func TestARelayAtItsLimitsClaims(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(64, 16)
		go b.records(ctx, 10*time.Millisecond)
		b.pass(0)
		go b.bench.watch(ctx)
		go b.run(ctx)
		var busy []*subscription
		for i := range 8 {
			s := testSubscription("default", true, "*")
			b.bench.lasts(s, 300*time.Millisecond+time.Duration(i*7)*time.Millisecond)
			busy = append(busy, s)
		}
		idle := testSubscription("default", true, "*")
		feed := func(d time.Duration) {
			for began := time.Now(); time.Since(began) < d; b.pass(33 * time.Millisecond) {
				for _, s := range busy {
					b.bench.give(s, 1)
				}
			}
		}
		feed(10 * time.Second)
		b.owe(idle, 1, 0)
		feed(3 * time.Second)
		require.Zero(t, b.owed(idle))

		b.bench.lasts(idle, time.Millisecond)
		b.owe(idle, 200, 0)
		feed(4 * time.Second)
		require.Zero(t, b.owed(idle), "one after the other, as fast as outcomes are written")
		b.bench.stop()
	})
}

// The stream has no more right to a slow lane than what waits in the database for it.
func TestASlowLaneIsSharedWithWhatIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(512, 64)
		go b.bench.watch(ctx)
		go b.run(ctx)
		s := testSubscription("default", true, "*")
		b.bench.lasts(s, time.Second)
		feed := func(d time.Duration) {
			for began := time.Now(); time.Since(began) < d; b.pass(2 * time.Millisecond) {
				b.bench.give(s, 1)
			}
		}
		feed(10 * time.Second)
		b.owe(s, 10, 0)
		feed(5 * time.Second)
		require.Zero(t, b.owed(s))
		b.bench.stop()
	})
}

// With few connections, those that hang leave some to a URL that may be well.
func TestHangingURLsLeaveConnectionsToOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(512, 64)
		b.bench.connections = 480
		subs := make([]*subscription, 8)
		for i := range subs {
			subs[i] = testSubscription("default", true, "*")
		}
		slices.SortFunc(subs, func(a, b *subscription) int { return slices.Compare(a.id[:], b.id[:]) })
		hanging, last := subs[:7], subs[7]
		for _, s := range hanging {
			b.bench.lasts(s, 15*time.Second)
			b.bench.failing(s, true)
			b.owe(s, 5000, 0)
		}
		go b.bench.watch(ctx)
		go b.run(ctx)
		b.pass(20 * time.Second)
		b.owe(last, 1, 0)
		b.pass(2 * time.Second)
		require.Zero(t, b.owed(last))
		b.bench.stop()
	})
}

// However many URLs hang, what their requests hold is bounded.
func TestHangingURLsHoldLittle(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newBench(512, 64)
		go b.watch(ctx)
		subs := make(map[uuid.UUID]*subscription)
		for range 100 {
			s := testSubscription("default", true, "*")
			b.lasts(s, 15*time.Second)
			b.failing(s, true)
			subs[s.id] = s
		}
		for range 300 {
			for _, s := range subs {
				b.give(s, 64<<10)
			}
			b.pass(100 * time.Millisecond)
			b.dispatcher.mu.Lock()
			held := b.slow + b.held
			b.dispatcher.mu.Unlock()
			require.Less(t, held, int64(slowBytes+heldByAll))
		}
		b.stop()
	})
}
