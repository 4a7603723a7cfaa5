package relay

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/outbox"
)

// written is a statement that the recorder ran.
type written struct {
	statement string
	at        time.Duration // Since the test's start.
	ids       []uuid.UUID   // Of deliveries.
	statuses  []string
	changes   []int64
	errors    []*string
}

// recorderBench is a recorder on a fake database that notes what is written, and may refuse it.
type recorderBench struct {
	*recorder
	db      *fakeDB
	began   time.Time
	takes   time.Duration // How long each statement takes.
	refuse  func(statement string, args []any) error
	writes  []written // Those that succeeded.
	alarms  atomic.Int32
	spilled []uuid.UUID
}

func newRecorderBench() *recorderBench {
	b := &recorderBench{db: newFakeDB(), began: time.Now(), takes: time.Millisecond}
	b.recorder = newRecorder(b.db, testLog(), testMetrics(), 15*time.Second)
	b.failing = func(error) { b.alarms.Add(1) }
	b.recorder.spilled = func(id uuid.UUID, now bool) {
		if now {
			b.spilled = append(b.spilled, id)
		}
	}
	b.db.query["visible"] = func([]any) ([][]any, error) { return [][]any{{true}}, nil }
	for _, name := range []string{"record_new", "record", "mark_changes", "cancel_subscription", "disable_subscription"} {
		b.db.exec[name] = func(args []any) (int64, error) {
			time.Sleep(b.takes)
			if b.refuse != nil {
				if err := b.refuse(name, args); err != nil {
					return 0, err
				}
			}
			w := written{statement: name, at: time.Since(b.began)}
			switch name {
			case "record_new", "record":
				w.ids, w.statuses, w.errors = uuidsIn(args[0]), args[8].([]string), args[16].([]*string)
			case "mark_changes":
				w.changes = args[0].([]int64)
			}
			b.writes = append(b.writes, w)
			return int64(max(1, len(w.changes))), nil
		}
	}
	return b
}

func (b *recorderBench) pass(d time.Duration) {
	barrier(&b.mu, &b.db.mu)
	time.Sleep(d)
	synctest.Wait()
}

func (b *recorderBench) putAccepted(sub *subscription) *delivery {
	d := testDelivery(sub, 1)
	d.tx = &transaction{}
	d.tx.add(1)
	d.started = time.Now()
	answered(d)
	b.put(entry{kind: entryOutcome, d: d})
	return d
}

func recorded(d *delivery) bool { return d.tx.pending.Load() == 0 }

func TestRecorderGathersForTenMilliseconds(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		go b.run(ctx)
		sub := testSubscription("default", true, "*")
		b.pass(time.Second)
		b.began = time.Now()
		first := b.putAccepted(sub)
		b.pass(2 * b.takes)
		require.True(t, recorded(first), "the first is written at once")
		var later []*delivery
		for range 5 {
			later = append(later, b.putAccepted(sub))
			b.pass(time.Millisecond)
		}
		b.pass(20 * time.Millisecond)
		require.Len(t, b.writes, 2, "those that came within ten milliseconds go together")
		require.Len(t, b.writes[1].ids, 5)
		require.InDelta(t, recordEvery, b.writes[1].at, float64(2*b.takes))
		for _, d := range later {
			require.True(t, recorded(d))
		}
		var full []entry
		for range recordBatch {
			d := testDelivery(sub, 1)
			d.tx = &transaction{}
			answered(d)
			full = append(full, entry{kind: entryOutcome, d: d})
		}
		b.put(full...)
		at := time.Since(b.began)
		b.pass(2 * b.takes)
		require.Len(t, b.writes, 3)
		require.Equal(t, recordBatch, len(b.writes[2].ids)) //nolint:testifylint // Len would print them all.
		require.Equal(t, at+b.takes, b.writes[2].at, "a full batch waits for nothing")
	})
}

func TestRecorderKeepsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		sub := testSubscription("default", true, "*")
		tx := &transaction{}
		tx.add(1)
		before := b.putAccepted(sub)
		b.put(entry{kind: entrySweep, id: sub.id})
		b.put(entry{kind: entryChange, tx: tx, change: 7})
		after := b.putAccepted(sub)
		b.put(entry{kind: entryDisable, id: sub.id, reason: "answered 410 Gone"})
		go b.run(ctx)
		b.pass(time.Second)
		var order []string
		for _, w := range b.writes {
			order = append(order, w.statement)
		}
		require.Equal(t, []string{"record_new", "cancel_subscription", "record_new", "mark_changes", "disable_subscription"}, order,
			"a sweep ends a batch")
		require.Equal(t, []uuid.UUID{before.id}, b.writes[0].ids)
		require.Equal(t, []uuid.UUID{after.id}, b.writes[2].ids)
		require.Zero(t, tx.pending.Load(), "the change is settled")
		require.True(t, b.idle())
	})
}

func TestRecorderWritesOneRowADelivery(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		d := testDelivery(testSubscription("default", true, "*"), 1)
		d.tx = &transaction{}
		d.tx.add(1)
		b.put(entry{kind: entrySpill, d: d})
		answered(d)
		b.put(entry{kind: entryOutcome, d: d})
		go b.run(ctx)
		b.pass(time.Second)
		require.Len(t, b.writes, 1)
		require.Equal(t, []string{string(outbox.StatusAccepted)}, b.writes[0].statuses, "the last entry tells it all")
		require.Zero(t, d.tx.pending.Load(), "settled once")
	})
}

// What the database owns already, and what an earlier try wrote although its answer was lost, meets the row that is there.
func TestRecorderWritesOverWhatIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		sub := testSubscription("default", true, "*")
		claimed := testDelivery(sub, 1)
		claimed.claimed = true
		answered(claimed)
		b.put(entry{kind: entryOutcome, d: claimed})
		spilled := testDelivery(sub, 1)
		spilled.tx = &transaction{}
		spilled.tx.add(1)
		b.put(entry{kind: entrySpill, d: spilled})
		go b.run(ctx)
		b.pass(time.Second)
		require.Len(t, b.writes, 2)
		require.Equal(t, "record_new", b.writes[0].statement)
		require.Equal(t, []uuid.UUID{spilled.id}, b.writes[0].ids)
		require.Equal(t, []string{"pending"}, b.writes[0].statuses)
		require.Equal(t, "record", b.writes[1].statement)
		require.Equal(t, []uuid.UUID{claimed.id}, b.writes[1].ids)

		answered(spilled)
		b.put(entry{kind: entryOutcome, d: spilled})
		b.pass(time.Second)
		require.Equal(t, "record", b.writes[2].statement, "its pending row stands there")

		b.refuse = func(statement string, _ []any) error {
			if statement == "record_new" {
				return &pgconn.PgError{Code: "23505"}
			}
			return nil
		}
		lost, other := b.putAccepted(sub), b.putAccepted(sub)
		b.pass(time.Second)
		require.Equal(t, "record", b.writes[3].statement)
		require.ElementsMatch(t, []uuid.UUID{lost.id, other.id}, b.writes[3].ids)
		require.True(t, recorded(lost) && recorded(other))
		require.Zero(t, b.alarms.Load(), "the database takes writes")
	})
}

func TestRecorderTriesUntilTheDatabaseTakesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		down := true
		b.refuse = func(string, []any) error {
			if down {
				return errors.New("connection refused")
			}
			return nil
		}
		go b.run(ctx)
		sub := testSubscription("default", true, "*")
		first := b.putAccepted(sub)
		b.pass(10 * time.Second)
		second := b.putAccepted(sub)
		b.pass(0)
		require.False(t, recorded(first))
		require.True(t, b.failed.Load())
		tries := b.db.ran("record_new")
		require.EqualValues(t, tries, b.alarms.Load(), "each failure is told once")
		require.InDelta(t, 10, tries, 5, "with pauses of up to two seconds")
		down = false
		b.pass(3 * time.Second)
		require.True(t, recorded(first))
		require.True(t, recorded(second))
		require.False(t, b.failed.Load())
		require.Equal(t, []uuid.UUID{first.id}, b.writes[0].ids, "what was first tried goes first")
	})
}

// What collides with others' transactions is written again at once, and no sign of a database that takes no writes.
func TestRecorderRepeatsWhatCollides(t *testing.T) {
	for name, collides := range map[string]int{"now and then": collisionsMost, "for ever": 1 << 30} {
		inBubble(t, func(t *testing.T, ctx context.Context) {
			b := newRecorderBench()
			b.refuse = func(string, []any) error {
				if collides--; collides >= 0 {
					return &pgconn.PgError{Code: "40001"}
				}
				return nil
			}
			go b.run(ctx)
			d := b.putAccepted(testSubscription("default", true, "*"))
			b.pass(time.Second)
			require.Equal(t, name == "now and then", recorded(d), name)
			require.Equal(t, name == "for ever", b.alarms.Load() > 0, name)
		})
	}
}

// The try under way is given up where its connection leads nowhere, and made again.
func TestRecorderReconnects(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		db := hang(b.db)
		b.recorder.db, b.save = db, db
		go b.run(ctx)
		d := b.putAccepted(testSubscription("default", true, "*"))
		b.pass(recordTimeout / 2)
		require.False(t, recorded(d))
		db.hangs.Store(false)
		b.reconnect()
		b.pass(time.Second)
		require.True(t, recorded(d))
		b.reconnect()
	})
}

func TestRecorderLeavesOutWhatIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		sub := testSubscription("default", true, "*")
		var all []*delivery
		for range 20 {
			all = append(all, b.putAccepted(sub))
		}
		bad, worse := all[3], all[11]
		bad.outcome.ResponseBody = "poison"
		worse.outcome.ResponseBody, worse.outcome.Error = "poison", "more of it"
		b.refuse = func(_ string, args []any) error {
			for i, id := range uuidsIn(args[0]) {
				text := args[17].([]*string)[i]
				if id == worse.id || id == bad.id && text != nil && *text == "poison" {
					return &pgconn.PgError{Code: "22021"}
				}
			}
			return nil
		}
		go b.run(ctx)
		b.pass(10 * time.Second)
		var ids []uuid.UUID
		for _, w := range b.writes {
			ids = append(ids, w.ids...)
			if slices.Contains(w.ids, bad.id) {
				require.Contains(t, *w.errors[0], "not shown")
			}
		}
		require.Len(t, ids, 19, "all but the one that nothing mends")
		require.NotContains(t, ids, worse.id)
		for _, d := range all {
			require.True(t, recorded(d), "and the slot moves on")
		}
		require.Zero(t, b.alarms.Load(), "the database takes writes")
	})
}

func TestRecorderHoldsWorkersUpAndLetsThemGo(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		var down atomic.Bool
		down.Store(true)
		b.refuse = func(string, []any) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}
		go b.run(ctx)
		sub := testSubscription("default", true, "*")
		var through atomic.Int32
		const workers = 3 * recordBacklog
		for range workers {
			go func() {
				d := testDelivery(sub, 1)
				d.tx = &transaction{}
				answered(d)
				b.putOutcome(d)
				through.Add(1)
			}()
		}
		b.pass(0)
		require.True(t, b.backlogged())
		require.Less(t, int(through.Load()), 2*recordBacklog+2)
		down.Store(false)
		b.pass(10 * time.Second)
		require.EqualValues(t, workers, through.Load())
		require.False(t, b.backlogged())
		require.True(t, b.idle())
	})
}

func TestRecorderAbandonsWhatItCannotWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		b.refuse = func(string, []any) error { return errors.New("connection refused") }
		recording, end := context.WithCancel(ctx)
		go b.run(recording)
		sub := testSubscription("default", true, "*")
		var through atomic.Int32
		worker := func() {
			d := testDelivery(sub, 1)
			d.tx = &transaction{}
			answered(d)
			b.putOutcome(d)
			through.Add(1)
		}
		for range 2 * recordBacklog {
			go worker()
		}
		b.pass(0)
		require.Less(t, int(through.Load()), 2*recordBacklog)
		end()
		b.pass(time.Second)
		require.EqualValues(t, 2*recordBacklog, through.Load(), "nobody waits for a recorder that has ended")
		for range 2 * recordBacklog { // Requests that end later still.
			go worker()
		}
		b.pass(0)
		require.EqualValues(t, 4*recordBacklog, through.Load())
	})
}

// Others may go on putting entries all the time: claims of a large backlog, on a relay that wants to lead.
func TestRecorderSaysWhenWhatWasPutBeforeIsWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		b.takes = 20 * time.Millisecond
		go b.run(ctx)
		sub := testSubscription("default", true, "*")
		go func() {
			for ctx.Err() == nil {
				b.putAccepted(sub)
				time.Sleep(time.Millisecond)
			}
		}()
		b.pass(time.Second)
		d := b.putAccepted(sub)
		mark := b.mark()
		require.False(t, b.passed(mark))
		for !b.passed(mark) {
			require.False(t, recorded(d))
			time.Sleep(time.Millisecond)
		}
		require.True(t, recorded(d))
		require.False(t, b.idle(), "it never is")
	})
}
