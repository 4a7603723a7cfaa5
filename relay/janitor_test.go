package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"
)

// janitorBench is a janitor over a database that holds so many old events, each with a delivery.
type janitorBench struct {
	*janitor
	db         *fakeDB
	events     []uuid.UUID
	deliveries int
	largest    int
	position   pglogrepl.LSN // Of the WAL, which grows with every look.
	confirmed  pglogrepl.LSN
	leads      bool
	confirm    func(*janitorBench) // What the tailer does meanwhile.
}

func newJanitorBench(old int) *janitorBench {
	b := &janitorBench{db: newFakeDB(), deliveries: old, leads: true, confirm: func(b *janitorBench) { b.confirmed = b.position }}
	for range old {
		b.events = append(b.events, uuid.New())
	}
	b.janitor = &janitor{db: b.db, log: testLog(), retention: time.Hour, leading: func() (pglogrepl.LSN, bool) {
		b.confirm(b)
		return b.confirmed, b.leads
	}}
	b.db.query["old_events"] = func(args []any) ([][]any, error) {
		b.position += 100
		n := min(len(b.events), args[1].(int))
		return [][]any{{b.events[:n:n], b.position.String()}}, nil
	}
	b.db.exec["delete_events"] = func(args []any) (int64, error) {
		n := len(uuidsIn(args[0]))
		b.largest = max(b.largest, n)
		b.events = b.events[n:]
		return int64(n), nil
	}
	b.db.exec["expire_deliveries"] = func(args []any) (int64, error) {
		n := min(b.deliveries, args[1].(int))
		b.deliveries -= n
		return int64(n), nil
	}
	return b
}

func TestJanitorRemovesWhatIsOldInBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const old = 50*expireBatch + 1
		b := newJanitorBench(old)
		var last time.Time
		b.confirm = func(b *janitorBench) {
			if time.Since(last) >= idleCheckpoint {
				b.confirmed, last = b.position, time.Now()
			}
		}
		began := time.Now()
		require.NoError(t, b.tidy(ctx))
		require.Empty(t, b.events)
		require.Zero(t, b.deliveries)
		require.Equal(t, expireBatch, b.largest)
		require.Less(t, time.Since(began), 20*time.Second, "not one wait for the slot a batch")
		require.Equal(t, 1, b.db.ran("prune_changes"))
	})
}

// An event may be old when it is inserted: until the slot has passed it, its deliveries are not made.
func TestJanitorWaitsForTheSlot(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newJanitorBench(10)
		b.confirm = func(b *janitorBench) { b.confirmed = b.position - 1 }
		go b.run(ctx)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, b.events, 10)
		require.Equal(t, 1, b.db.ran("old_events"))
		b.leads = false
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, b.events, 10, "another leads")
		require.Equal(t, 1, b.db.ran("old_events"))
		b.leads, b.confirm = true, func(b *janitorBench) { b.confirmed = b.position }
		time.Sleep(2 * janitorEvery)
		synctest.Wait()
		require.Empty(t, b.events)
	})
}

func TestJanitorKeepsEverythingWithoutRetention(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newJanitorBench(10)
		b.retention = 0
		require.NoError(t, b.tidy(ctx))
		require.Len(t, b.events, 10)
		require.Equal(t, 10, b.deliveries)
		require.Equal(t, 1, b.db.ran("prune_changes"), "the journal is pruned all the same")
	})
}

func TestJanitorTriesAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newJanitorBench(3 * expireBatch)
		remove, fails := b.db.exec["delete_events"], 2
		b.db.exec["delete_events"] = func(args []any) (int64, error) {
			if fails--; fails == 0 {
				return 0, errors.New("canceling statement due to lock timeout")
			}
			return remove(args)
		}
		go b.run(ctx)
		time.Sleep(janitorEvery + time.Second)
		synctest.Wait()
		require.Len(t, b.events, 2*expireBatch)
		time.Sleep(janitorEvery)
		synctest.Wait()
		require.Empty(t, b.events)
		require.Zero(t, b.deliveries)
	})
}
