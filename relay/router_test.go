package relay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// routerBench is a router over a dispatcher without network and a recorder that nobody empties.
type routerBench struct {
	*router
	bench  *bench
	db     *fakeDB
	paused time.Duration
	pauses int
	found  map[uuid.UUID]bool // Deliveries that stand in the database.
	asked  [][]uuid.UUID      // Look-ups.
	back   []*delivery
}

func newRouterBench(limit, laneLimit int) *routerBench {
	b := &routerBench{router: newRouter(), bench: newBench(limit, laneLimit), db: newFakeDB(), found: make(map[uuid.UUID]bool)}
	b.router.db, b.log, b.metrics = b.db, testLog(), testMetrics()
	b.envelope = func(row eventRow) []byte { return row.payload }
	b.dispatch = b.bench.dispatcher
	b.record = newRecorder(b.db, testLog(), testMetrics(), time.Second)
	b.giveBack = func(d *delivery) { b.back = append(b.back, d) }
	b.pause = func(ctx context.Context, d time.Duration) error {
		began := time.Now()
		defer func() { b.paused += time.Since(began); b.pauses++ }()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.dispatch.room:
		case <-time.After(d):
		}
		return nil
	}
	b.db.query["recorded"] = func(args []any) (rows [][]any, err error) {
		ids := uuidsIn(args[0])
		b.asked = append(b.asked, ids)
		for _, id := range ids {
			if b.found[id] {
				rows = append(rows, []any{id})
			}
		}
		return rows, nil
	}
	return b
}

func (b *routerBench) subscribe(patterns ...string) *subscription {
	s := testSubscription("default", true, patterns...)
	b.subscriptions.set(s)
	return s
}

// commit routes a transaction of so many events of a type and returns it.
func (b *routerBench) commit(t *testing.T, ctx context.Context, at int, typ string, events int) *transaction {
	t.Helper()
	tx := &transaction{commit: lsn(at)}
	for range events {
		require.NoError(t, b.event(ctx, tx, eventRow{id: uuid.New(), typ: typ, tenant: "default", payload: []byte("1")}))
	}
	require.NoError(t, b.router.commit(ctx))
	return tx
}

// entries returns what was handed to the recorder of a kind.
func (b *routerBench) entries(kind entryKind) (found []entry) {
	for _, e := range b.record.entries {
		if e.kind == kind {
			found = append(found, e)
		}
	}
	return found
}

func TestRouterLooksUpWhatMayHaveBeenHandled(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(1000, 1000)
		b.until = 500
		s := b.subscribe("*")
		old := b.commit(t, ctx, 400, "a", lookupDeliveries-1)
		require.Empty(t, b.asked, "gathered, across transactions")
		b.found[b.lookups[0].id] = true
		b.found[b.lookups[7].id] = true
		b.commit(t, ctx, 450, "a", 1)
		require.Len(t, b.asked, 1)
		require.Equal(t, lookupDeliveries, len(b.asked[0])) //nolint:testifylint // Len would print them all.
		require.EqualValues(t, lookupDeliveries-3, old.pending.Load(), "what stands there is settled")
		b.commit(t, ctx, 500, "a", 1)
		require.Len(t, b.asked, 1, "what is new is not looked up")
		b.bench.pass(time.Minute)
		require.Equal(t, lookupDeliveries-2+1, b.bench.count(func(b *bench) int { return len(b.done) }))
		_ = s
		b.bench.requireEmpty(t)

		b.commit(t, ctx, 450, "a", 3)
		require.NotEmpty(t, b.lookups)
		b.drop()
		require.Empty(t, b.lookups)
		b.bench.requireEmpty(t)

		b.db.query["recorded"] = func([]any) ([][]any, error) { return nil, errors.New("connection refused") }
		b.commit(t, ctx, 450, "a", 3)
		require.Error(t, b.lookUp(ctx))
		b.drop()
		b.bench.requireEmpty(t)
	})
}

// A large event is not kept waiting for others to be looked up with.
func TestRouterLooksUpByBytes(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(10, 10)
		b.until = 500
		b.subscribe("*")
		row := eventRow{id: uuid.New(), typ: "a", tenant: "default", payload: make([]byte, lookupBytes)}
		require.NoError(t, b.event(ctx, &transaction{commit: 400}, row))
		require.Len(t, b.asked, 1)
	})
}

func TestRouterHasPatienceOnlyWhileOthersAreBusy(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(1000, 2)
		slow, idle := b.subscribe("slow"), b.subscribe("idle")
		b.bench.lasts(slow, 400*time.Millisecond) // Slow, yet moving: never stale.
		b.bench.lasts(idle, time.Millisecond)
		b.commit(t, ctx, 1, "slow", laneQueueLength+2)
		require.Zero(t, b.pauses)
		began := time.Now()
		b.commit(t, ctx, 2, "slow", 10)
		require.LessOrEqual(t, time.Since(began), patience, "another lane is idle")
		require.NotEmpty(t, b.entries(entryUnsent), "so it is written down")
		b.subscriptions.remove(idle.id)
		written := len(b.entries(entryUnsent))
		began = time.Now()
		b.commit(t, ctx, 3, "slow", 200)
		require.Greater(t, time.Since(began), 10*time.Second, "nobody else is kept waiting")
		require.Len(t, b.entries(entryUnsent), written)
	})
}

// Whoever has nothing to do loses nothing while the stream waits for a quick lane; for one that has become slow it does not
// wait on.
func TestRouterWaitsForAQuickLane(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(1000, 16)
		lane := b.subscribe("mine")
		b.subscribe("idle")
		b.bench.lasts(lane, time.Millisecond) // 16,000 a second.
		for range 10 * tempoSpan / time.Millisecond {
			b.commit(t, ctx, 1, "mine", 15)
			b.bench.pass(time.Millisecond)
		}
		require.Zero(t, b.pauses)
		soon, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		b.commit(t, soon, 2, "mine", 20*laneQueueLength)
		require.NotZero(t, b.pauses)
		require.Empty(t, b.entries(entryUnsent), "it waited")

		b.bench.lasts(lane, 400*time.Millisecond)
		began := time.Now()
		b.commit(t, ctx, 3, "mine", laneQueueLength+100)
		require.LessOrEqual(t, time.Since(began), 5*tempoSpan+patience)
		require.NotEmpty(t, b.entries(entryUnsent))
		b.bench.pass(time.Minute)
		b.bench.requireEmpty(t)
	})
}

func TestRouterWritesDownWhatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(1000, 2)
		hanging := b.subscribe("hanging")
		b.bench.lasts(hanging, -1)
		b.commit(t, ctx, 1, "hanging", 2)
		b.bench.pass(staleAfter + time.Millisecond)
		tx := b.commit(t, ctx, 2, "hanging", 20)
		require.Len(t, b.entries(entryUnsent), 20, "at once")
		require.EqualValues(t, 20, tx.pending.Load(), "settled once recorded")
		close(b.bench.hung)
		b.bench.pass(time.Second)
		b.bench.requireEmpty(t)
	})
}

func TestRouterWaitsForRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(1000, 1000)
		s := b.subscribe("*")
		b.bench.lasts(s, 300*time.Millisecond)
		send := func(ctx context.Context) error {
			row := eventRow{id: uuid.New(), typ: "a", tenant: "default", payload: make([]byte, streamBytes/2)}
			return errors.Join(b.event(ctx, &transaction{commit: 1}, row), b.router.commit(ctx))
		}
		for range 2 {
			require.NoError(t, send(ctx))
		}
		require.Zero(t, b.pauses)
		began := time.Now()
		require.NoError(t, send(ctx))
		require.Equal(t, b.bench.takes[s.id], time.Since(began), "until one is done, and no longer")

		b.bench.pass(time.Second)
		for range recordBacklog + 1 {
			b.record.put(entry{kind: entryDisable})
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		require.ErrorIs(t, send(short), context.DeadlineExceeded, "nothing is begun that can't be recorded")
		b.bench.requireEmpty(t)
	})
}

func TestRouterRecordsWhatCannotBeSent(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(10, 10)
		s := testSubscription("default", true, "*")
		s.fault = errors.New("url: has no host")
		b.subscriptions.set(s)
		b.commit(t, ctx, 1, "a", 1)
		found := b.entries(entryOutcome)
		require.Len(t, found, 1)
		require.Equal(t, outbox.StatusFailed, found[0].d.decision.Status)
		require.Equal(t, "url: has no host", found[0].d.outcome.Error)
		b.bench.requireEmpty(t)
	})
}

func off(s *subscription, id int64) changeRow {
	gone := *s
	gone.active = false
	return changeRow{id: id, subscriptionID: s.id, subscription: &gone}
}

func TestRouterTakesChangesInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(10, 10)
		b.until = 500
		s := testSubscription("default", true, "*")
		tx := &transaction{commit: 100, committedAt: time.Now().Add(-time.Minute)}
		require.NoError(t, b.event(ctx, tx, eventRow{id: uuid.New(), typ: "a", tenant: "default"}))
		require.Zero(t, tx.pending.Load(), "before it was made")
		require.NoError(t, b.change(ctx, tx, changeRow{id: 1, subscriptionID: s.id, subscription: s}))
		require.NoError(t, b.event(ctx, tx, eventRow{id: uuid.New(), typ: "a", tenant: "default"}))
		require.Len(t, b.lookups, 1, "after, in the same transaction")
		require.NoError(t, b.change(ctx, tx, off(s, 2)))
		require.Empty(t, b.lookups, "what came before is looked up before")
		require.NoError(t, b.event(ctx, tx, eventRow{id: uuid.New(), typ: "a", tenant: "default"}))
		require.Empty(t, b.lookups, "after it was switched off")
		require.NoError(t, b.change(ctx, tx, changeRow{id: 3, subscriptionID: s.id}))
		require.Empty(t, b.subscriptions.byID)

		var kinds []entryKind
		for _, e := range b.record.entries {
			if kinds = append(kinds, e.kind); e.kind == entrySweep {
				require.Equal(t, tx.committedAt, e.at, "what was touched until then is cancelled")
				require.Same(t, tx, e.tx)
			}
		}
		require.Equal(t, []entryKind{entryChange, entrySweep, entryChange, entrySweep, entryChange}, kinds,
			"a change is marked only after its sweep")
	})
}

// An event is not sent to a subscription that the same transaction switches off behind it.
func TestRouterHoldsATransactionUntilItsEnd(t *testing.T) {
	for name, before := range map[string]int{"small": 3, "large": heldDeliveries + 7} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newRouterBench(10_000, 10_000)
				gone, stays := b.subscribe("*"), b.subscribe("*")
				asked := 0
				b.db.query["changes_unread"] = func([]any) ([][]any, error) {
					asked++
					return [][]any{{int64(1), gone.id}}, nil
				}
				tx := &transaction{commit: 1}
				event := func() {
					require.NoError(t, b.event(ctx, tx, eventRow{id: uuid.New(), typ: "a", tenant: "default"}))
				}
				for range before {
					event()
				}
				b.bench.pass(0)
				require.NoError(t, b.change(ctx, tx, off(gone, 1)))
				event()
				require.NoError(t, b.router.commit(ctx))
				b.bench.pass(time.Second)
				require.Len(t, b.entries(entryCancel), before)
				sent := make(map[uuid.UUID]int)
				for _, d := range b.bench.begun {
					sent[d.sub.id]++
				}
				require.Equal(t, map[uuid.UUID]int{stays.id: before + 1}, sent)
				require.Equal(t, name == "large", asked == 1, "the journal is asked once, where the end is not waited for")
				require.Empty(t, b.held)

				event()
				require.Len(t, b.held, 1, "the next transaction is held again")
				b.drop()
				b.bench.requireEmpty(t)
			})
		})
	}
}

func TestRouterCancelsWhatWaitsForASubscriptionSwitchedOff(t *testing.T) {
	for _, how := range []string{"read", "ahead"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newRouterBench(10, 1)
				s := b.subscribe("*")
				b.bench.lasts(s, -1)
				tx := b.commit(t, ctx, 1, "a", 4)
				claimed := testDelivery(s, 1)
				claimed.claimed, claimed.spilled = true, true
				b.dispatch.hold(claimed.event, 1)
				b.dispatch.startClaimed(claimed)
				if how == "read" {
					require.NoError(t, b.change(ctx, tx, off(s, 1)))
				} else {
					b.ahead([]store.Change{{ID: 1, SubscriptionID: s.id}})
				}
				require.Len(t, b.entries(entryCancel), 3, "the one in flight goes on")
				require.Equal(t, []*delivery{claimed}, b.back,
					"the change may be of long ago: the claimer goes by how the subscription is now")
				close(b.bench.hung)
				b.bench.pass(time.Second)
				b.bench.requireEmpty(t)
			})
		})
	}
}

func TestRouterSendsNothingToASubscriptionThatWillBeSwitchedOff(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(10, 10)
		s := b.subscribe("*")
		b.ahead([]store.Change{{ID: 1, SubscriptionID: s.id}, {ID: 2, SubscriptionID: s.id}})
		b.commit(t, ctx, 1, "a", 1)
		require.NoError(t, b.change(ctx, &transaction{commit: 2}, off(s, 1)))
		require.NoError(t, b.change(ctx, &transaction{commit: 3}, changeRow{id: 9, subscriptionID: s.id, subscription: s}))
		b.commit(t, ctx, 4, "a", 1)
		require.NoError(t, b.change(ctx, &transaction{commit: 5}, off(s, 2)))
		require.NoError(t, b.change(ctx, &transaction{commit: 6}, changeRow{id: 10, subscriptionID: s.id, subscription: s}))
		require.Len(t, b.entries(entryCancel), 2)
		b.commit(t, ctx, 7, "a", 1)
		require.Len(t, b.entries(entryCancel), 2, "on again for good")
		require.Empty(t, b.off)
	})
}

// An answer that was asked for before a change was read, or before it was marked, names it still.
func TestRouterForgetsChangesThatNoAnswerNames(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(10, 10)
		s := b.subscribe("*")
		tx := &transaction{commit: 1}
		named := []store.Change{{ID: 1, SubscriptionID: s.id}}
		b.asking()
		require.NoError(t, b.change(ctx, tx, off(s, 1)))
		b.ahead(named)
		require.False(t, b.goingAway(s.id), "read while the answer was under way")
		b.asking()
		b.ahead(named)
		require.False(t, b.goingAway(s.id), "not marked yet")
		b.asking()
		b.ahead(nil)
		require.Empty(t, b.read, "marked")
		for n := range int64(1000) {
			require.NoError(t, b.change(ctx, tx, changeRow{id: 2 + n, subscriptionID: s.id, subscription: s}))
		}
		require.Empty(t, b.read, "no answer names those that do not switch off")
	})
}
