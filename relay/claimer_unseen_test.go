package relay

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/outbox"
)

// An event that is not there may only not be seen yet, whatever its created_at says. It is looked for again when the lease has run out.
func TestClaimerWaitsForAnEventThatIsNotThere(t *testing.T) {
	for name, age := range map[string]time.Duration{"new": 0, "dated back": 24 * time.Hour, "dated forward": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newClaimerBench(10, 10)
				s := testSubscription("default", true, "*")
				b.owe(s, 1, 0)[0].made = time.Now().Add(-age)
				b.events, b.synchronous = false, true
				go b.run(ctx)
				b.pass(unseenPatience - time.Minute)
				require.Empty(t, b.record.entries)
				require.Equal(t, 1, b.left())
				b.events = true
				b.pass(b.timeout + leaseSlack + time.Second)
				require.Zero(t, b.left(), "sent")
				require.Empty(t, b.unseen)
			})
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newClaimerBench(10, 10)
				b.owe(testSubscription("default", true, "*"), 1, 0)[0].made = time.Now().Add(-age)
				b.events, b.synchronous = false, true
				go b.run(ctx)
				b.pass(unseenPatience + b.timeout + leaseSlack + time.Second)
				require.Len(t, b.record.owned, 1)
				e := b.record.owned[0]
				require.Equal(t, string(outbox.StatusFailed), newRecord(e.kind, e.d, time.Now()).Status)
				require.Empty(t, b.unseen)
			})
		})
	}
}

// Where no commit waits for a standby, an event that is not there at the second look was removed. Of very many, the old ones are at the
// first.
func TestClaimerGivesUpEventsThatWereRemoved(t *testing.T) {
	for name, remembered := range map[string]int{"few": 0, "more than are remembered": unseenMost} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newClaimerBench(10, 10)
				b.unseen = make(map[uuid.UUID]time.Time)
				for range remembered {
					b.unseen[uuid.New()] = time.Now()
				}
				b.owe(testSubscription("default", true, "*"), 1, 0)[0].made = time.Now().Add(-time.Hour)
				b.events = false
				go b.run(ctx)
				b.pass(time.Second)
				if remembered == 0 {
					require.Empty(t, b.record.owned)
					b.pass(b.timeout + leaseSlack)
				}
				require.Len(t, b.record.owned, 1)
				require.Equal(t, string(outbox.StatusFailed), newRecord(entryOutcome, b.record.owned[0].d, time.Now()).Status)
				require.Len(t, b.unseen, remembered)
			})
		})
	}
}
