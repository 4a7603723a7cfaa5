package relay

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// Whatever the host has hung on outbox.subscriptions, the relay goes on.
func TestRecorderPassesOverASubscriptionThatCannotBeSwitchedOff(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		b.refuse = func(statement string, _ []any) error {
			if statement == "disable_subscription" {
				return &pgconn.PgError{Code: "P0001", Message: "a trigger of the host's says no"}
			}
			return nil
		}
		sub := testSubscription("default", true, "*")
		b.put(entry{kind: entryDisable, id: sub.id, reason: "answered 410 Gone"})
		d := b.putAccepted(sub)
		go b.run(ctx)
		b.pass(10 * time.Second)
		require.True(t, recorded(d))
		require.False(t, b.failed.Load())
		require.True(t, b.idle())
	})
}

// Once, however many answers say the same.
func TestRecorderSaysWhatItSwitchesOff(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		var logged bytes.Buffer
		b.log = slog.New(slog.NewTextHandler(&logged, nil))
		on := int64(1)
		b.db.exec["disable_subscription"] = func([]any) (int64, error) {
			defer func() { on = 0 }()
			return on, nil
		}
		id := uuid.New()
		b.put(entry{kind: entryDisable, id: id, reason: "answered 410 Gone"})
		b.put(entry{kind: entryDisable, id: id, reason: "answered 410 Gone"})
		go b.run(ctx)
		b.pass(time.Second)
		require.Equal(t, 1, strings.Count(logged.String(), "switched off"), logged.String())
		require.Contains(t, logged.String(), id.String())
	})
}

// A stop leaves the rest of a sweep to the next start, which reads its change again.
func TestRecorderBreaksOffASweepAtAStop(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		tx := &transaction{}
		tx.add(1)
		b.db.exec["cancel_subscription"] = func(args []any) (int64, error) {
			time.Sleep(time.Second)
			return int64(args[2].(int)), nil // There is always more.
		}
		b.put(entry{kind: entrySweep, tx: tx, id: uuid.New()})
		go b.run(ctx)
		b.pass(10 * time.Second)
		require.False(t, b.idle())
		b.stopping.Store(true)
		b.pass(2 * time.Second)
		require.True(t, b.idle())
		require.EqualValues(t, 1, tx.pending.Load(), "the position stays before it")
	})
}

// Until a sweep has come to its end, the position stays before the change: a crash brings it again.
func TestRecorderSettlesAChangeWhenItsSweepHasEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		sweep, left, tx := b.db.exec["cancel_subscription"], int64(3*sweepBatch+1), &transaction{}
		tx.add(2)
		b.db.exec["cancel_subscription"] = func(args []any) (int64, error) {
			require.Positive(t, tx.pending.Load())
			n := min(left, int64(args[2].(int)))
			left -= n
			_, err := sweep(args)
			return n, err
		}
		b.put(entry{kind: entrySweep, tx: tx, id: uuid.New()}, entry{kind: entryChange, tx: tx, change: 7})
		go b.run(ctx)
		b.pass(time.Second)
		require.Zero(t, left)
		require.Zero(t, tx.pending.Load())
		require.True(t, b.idle())
	})
}

// A subscription may have millions of deliveries that wait: they are cancelled some at a time, with others' outcomes between.
func TestRecorderSweepsInBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		sweep := b.db.exec["cancel_subscription"]
		left := int64(3*sweepBatch + 1)
		b.db.exec["cancel_subscription"] = func(args []any) (int64, error) {
			_, err := sweep(args)
			n := min(left, int64(args[2].(int)))
			left -= n
			return n, err
		}
		sub := testSubscription("default", true, "*")
		b.put(entry{kind: entrySweep, id: sub.id, at: time.Now()})
		d := b.putAccepted(sub)
		go b.run(ctx)
		b.pass(time.Second)
		require.Zero(t, left)
		require.Equal(t, 4, b.db.ran("cancel_subscription"))
		require.Equal(t, "record_new", b.writes[1].statement, "right after the first batch")
		require.Equal(t, []uuid.UUID{d.id}, b.writes[1].ids)
		require.True(t, b.idle())
	})
}

// With a synchronous standby, the stream has a commit before anybody sees it. What came of a subscription's deliveries waits with the
// change that made it: before that, it would be taken for one that is gone.
func TestRecorderWaitsUntilAChangeIsVisible(t *testing.T) {
	for name, tt := range map[string]struct {
		visibleAfter time.Duration
		marks        int64 // Rows that are there to be marked.
		settled      bool
	}{
		"late":                    {300 * time.Millisecond, 1, true},
		"read again, pruned":      {0, 0, true},
		"not visible for minutes": {time.Hour, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newRecorderBench()
				visible := func() bool { return time.Since(b.began) >= tt.visibleAfter }
				marked := false
				b.db.exec["mark_changes"] = func([]any) (int64, error) {
					require.True(t, visible())
					marked = true
					return tt.marks, nil
				}
				b.db.query["visible"] = func(args []any) ([][]any, error) {
					require.Equal(t, []int64{4294967295}, args[0])
					return [][]any{{visible()}}, nil
				}
				tx := &transaction{xid: 4294967295}
				tx.add(1)
				b.put(entry{kind: entryChange, tx: tx, change: 7})
				d := b.putAccepted(testSubscription("default", true, "*"))
				go b.run(ctx)
				b.pass(200 * time.Millisecond)
				require.Equal(t, visible(), recorded(d))
				b.pass(time.Minute)
				require.Equal(t, visible(), recorded(d))
				require.Equal(t, tt.settled, marked)
				require.Equal(t, tt.settled, tx.pending.Load() == 0)
				require.Equal(t, !tt.settled, b.failed.Load())
			})
		})
	}
}
