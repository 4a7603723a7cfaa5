package relay

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
)

// observerBench is the observer of a relay that leads, over a database in which seven deliveries wait.
type observerBench struct {
	*observer
	db *fakeDB
}

func newObserverBench(t *testing.T) *observerBench {
	cfg := config.Default()
	cfg.Database.URL = "postgres://localhost/app"
	r, err := New(cfg, Options{Logger: testLog()})
	require.NoError(t, err)
	r.setLeading(true)
	b := &observerBench{observer: r.observer, db: newFakeDB()}
	b.observer.db = b.db
	r.recorder = newRecorder(b.db, r.log, r.metrics, cfg.Delivery.Timeout)
	b.db.query["backlog"] = func([]any) ([][]any, error) { return [][]any{{7, 0, 0.0, 0, nil}}, nil }
	return b
}

// Where a count takes too long, heartbeat and statistics are written all the same, and the next count is not begun at once.
func TestObserverWritesWhatACountDoesNotHoldUp(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newObserverBench(t)
		db := hang(b.db)
		db.only = "backlog"
		b.observer.db = db
		go b.run(ctx)
		for n := range 60 {
			b.relay.metrics.captured.Add(1)
			time.Sleep(heartbeatEvery)
			synctest.Wait()
			require.GreaterOrEqual(t, b.db.ran("beat"), n+1)
			require.GreaterOrEqual(t, b.db.ran("save_minutes"), n+1)
		}
		require.Equal(t, 1, b.db.ran("backlog"))
		require.Zero(t, b.last().Pending)

		db.hangs.Store(false)
		time.Sleep(backlogShare*recordTimeout - 60*heartbeatEvery + heartbeatEvery)
		synctest.Wait()
		require.Equal(t, 2, b.db.ran("backlog"))
		require.EqualValues(t, 7, b.last().Pending)
	})
}

// While counts are quick they come at their pace, and none where another relay leads.
func TestObserverCountsWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newObserverBench(t)
		go b.run(ctx)
		time.Sleep(10*backlogEvery - time.Second)
		synctest.Wait()
		require.Equal(t, 10, b.db.ran("backlog"))
		require.EqualValues(t, 7, b.last().Pending)
		require.Positive(t, b.db.ran("save_minutes"), "the count belongs to the statistics")

		b.relay.setLeading(false)
		time.Sleep(10 * backlogEvery)
		synctest.Wait()
		require.Equal(t, 10, b.db.ran("backlog"))
		require.Zero(t, b.last().Pending)
	})
}

// Who looks sees at once that a relay is ready, or is so no more.
func TestObserverTellsOfAChangeAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newObserverBench(t)
		var ready []bool
		b.db.exec["beat"] = func(args []any) (int64, error) {
			ready = append(ready, args[7].(bool))
			return 1, nil
		}
		go b.run(ctx)
		time.Sleep(time.Second)
		synctest.Wait()
		ready = nil
		b.relay.setReason("the stream ended")
		time.Sleep(time.Millisecond)
		b.relay.setReason("the stream ended again")
		time.Sleep(time.Millisecond)
		b.relay.setStandby()
		time.Sleep(time.Millisecond)
		b.relay.setLeading(true)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Equal(t, []bool{false, true, true}, ready)
	})
}

func TestObserverWarnsOfAnotherSlot(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newObserverBench(t)
		log := &bytes.Buffer{}
		b.log = slog.New(slog.NewTextHandler(log, nil))
		var slots [][]any
		b.db.query["rivals"] = func([]any) ([][]any, error) { return slots, nil }
		for range 3 {
			require.NoError(t, b.write(ctx))
		}
		require.Empty(t, log.String())
		slots = [][]any{{"other"}, {"third"}}
		for range 3 {
			require.NoError(t, b.write(ctx))
		}
		require.Equal(t, 1, strings.Count(log.String(), "others=other,third"), "once")
		b.relay.setStandby()
		b.relay.setLeading(false)
		asked := b.db.ran("rivals")
		require.NoError(t, b.write(ctx))
		require.Equal(t, asked, b.db.ran("rivals"), "who leads tells")
	})
}

// What is being written as the relay stops is written to its end, before the row is removed, but for no longer than lastWrite.
func TestObserverEndsItsLastWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newObserverBench(t)
		db := hang(b.db)
		db.only = "beat"
		b.observer.db = db
		running, stop := context.WithCancel(ctx)
		ended := make(chan time.Time, 1)
		go func() { b.run(running); ended <- time.Now() }()
		time.Sleep(time.Second)
		stop()
		stopped := time.Now()
		time.Sleep(lastWrite / 2)
		synctest.Wait()
		require.Empty(t, ended)
		require.Zero(t, b.db.ran("end_heartbeat"))
		require.Equal(t, lastWrite, (<-ended).Sub(stopped))
		require.Equal(t, 1, b.db.ran("end_heartbeat"))
	})
}
