package relay

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/retention"
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

	mu      sync.Mutex
	leads   bool
	confirm func(*janitorBench) // What the tailer does meanwhile.
}

// slot says from now on whether the janitor's relay leads, and what its tailer does.
func (b *janitorBench) slot(leads bool, confirm func(*janitorBench)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leads, b.confirm = leads, confirm
}

func newJanitorBench(old int) *janitorBench {
	b := &janitorBench{db: newFakeDB(), deliveries: old, leads: true, confirm: func(b *janitorBench) { b.confirmed = b.position }}
	for range old {
		b.events = append(b.events, uuid.New())
	}
	b.janitor = &janitor{db: b.db, log: testLog(), retention: time.Hour, leading: func() (pglogrepl.LSN, bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.confirm(b)
		return b.confirmed, b.leads
	}}
	b.db.query["old_events"] = func(args []any) ([][]any, error) {
		b.position += 100
		ids := make(pgtype.FlatArray[pgtype.UUID], min(len(b.events), args[2].(int)))
		for i := range ids {
			ids[i] = pgtype.UUID{Bytes: b.events[i], Valid: true}
		}
		return [][]any{{ids, time.Now(), b.position.String()}}, nil
	}
	b.db.exec["delete_events"] = func(args []any) (int64, error) {
		n := len(uuidsIn(args[0]))
		b.largest = max(b.largest, n)
		b.events = b.events[n:]
		return int64(n), nil
	}
	b.db.query["expire_deliveries"] = func(args []any) ([][]any, error) {
		n := min(b.deliveries, args[2].(int))
		b.deliveries -= n
		return [][]any{{n, time.Now()}}, nil
	}
	return b
}

func TestJanitorRemovesWhatIsOldInBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const old = 50_001
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
		require.Less(t, b.largest, old/20)
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
		require.Less(t, b.db.ran("old_events"), 60)
		require.Equal(t, b.db.ran("old_events"), b.db.ran("prune_changes"), "the rest of its work goes on")
		b.slot(false, b.confirm)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, b.events, 10, "another leads")
		looked := b.db.ran("old_events")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, looked, b.db.ran("old_events"))
		b.slot(true, func(b *janitorBench) { b.confirmed = b.position })
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
		b := newJanitorBench(3000)
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
		require.NotEmpty(t, b.events)
		require.Less(t, len(b.events), 3000, "one batch went")
		time.Sleep(janitorEvery)
		synctest.Wait()
		require.Empty(t, b.events)
		require.Zero(t, b.deliveries)
	})
}

// A statement that the database refuses each time, for a right that is missing say, keeps nothing else from being removed.
func TestJanitorDoesTheRest(t *testing.T) {
	for _, statement := range []string{"prune_changes", "forget_minutes"} {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			b := newJanitorBench(3000)
			b.db.exec[statement] = func([]any) (int64, error) { return 0, errors.New("permission denied") }
			require.ErrorContains(t, b.tidy(ctx), "permission denied", statement)
			require.NotZero(t, b.db.ran("prune_changes"))
			require.NotZero(t, b.db.ran("forget_minutes"))
			require.Empty(t, b.events, statement)
			require.Zero(t, b.deliveries, statement)
		})
	}
}

// Whichever of its statements a connection hangs at, the janitor gives it up and goes on over another.
func TestJanitorGivesUpAConnectionThatHangs(t *testing.T) {
	for _, statement := range []string{"prune_changes", "forget_minutes", "old_events", "delete_events", "expire_deliveries"} {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			b := newJanitorBench(3000)
			db := hang(b.db)
			db.only = statement
			b.janitor.db = db
			began := time.Now()
			require.ErrorIs(t, b.tidy(ctx), context.DeadlineExceeded, statement)
			require.Less(t, time.Since(began), retention.StatementTimeout+time.Minute, statement)

			go b.run(ctx)
			time.Sleep(janitorEvery + time.Minute)
			db.hangs.Store(false)
			time.Sleep(retention.StatementTimeout + janitorEvery + time.Minute)
			synctest.Wait()
			require.Empty(t, b.events, statement)
			require.Zero(t, b.deliveries, statement)
		})
	}
}
