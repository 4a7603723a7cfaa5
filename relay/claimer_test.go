package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/outbox"
)

// row is a delivery in the claimer's database.
type row struct {
	id, sub uuid.UUID
	due     time.Time
	lease   uuid.UUID
	payload int
	made    time.Time
}

// claimerBench is a claimer over a dispatcher without network and a database that knows leases.
type claimerBench struct {
	*claimer
	bench *bench
	db    *fakeDB

	mu          sync.Mutex
	rows        map[uuid.UUID]*row
	events      bool                 // Whether the events are there.
	synchronous bool                 // Whether commits wait for a standby.
	gone        map[uuid.UUID]bool   // Subscriptions that are off.
	failing     map[string]error     // Statements that fail.
	sent        map[uuid.UUID]string // What was POSTed.
	released    []uuid.UUID
}

func newClaimerBench(limit, laneLimit int) *claimerBench {
	b := &claimerBench{
		bench: newBench(limit, laneLimit), db: newFakeDB(), rows: make(map[uuid.UUID]*row), events: true,
		gone: make(map[uuid.UUID]bool), failing: make(map[string]error), sent: make(map[uuid.UUID]string),
	}
	b.claimer = &claimer{
		db: b.db, log: testLog(), dispatch: b.bench.dispatcher, metrics: testMetrics(), timeout: 15 * time.Second,
		record:   newRecorder(b.db, testLog(), testMetrics(), 15*time.Second),
		envelope: func(e eventRow) []byte { return e.payload }, wake: make(chan struct{}, 1), leading: func() bool { return true },
	}
	b.bench.kick = b.wakeUp
	attempt, record := b.bench.attempt, b.bench.record
	b.bench.attempt = func(c *Client, d *delivery) {
		b.mu.Lock()
		b.sent[d.event.id] = string(d.event.body)
		b.mu.Unlock()
		attempt(c, d)
	}
	b.bench.record = func(d *delivery) {
		record(d)
		b.mu.Lock()
		defer b.mu.Unlock()
		if r := b.rows[d.id]; r != nil && r.lease == d.lease.token {
			delete(b.rows, d.id)
		}
	}
	b.answer("due", b.due)
	b.answer("claim", b.claimRows)
	b.answer("fetch_claimed", b.fetchRows)
	b.db.exec["release"] = func(args []any) (int64, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if err := b.failing["release"]; err != nil {
			return 0, err
		}
		for _, id := range uuidsIn(args[0]) {
			if r := b.rows[id]; r != nil && r.lease == args[1].(uuid.UUID) {
				b.released = append(b.released, id)
				r.due, r.lease = time.Now(), uuid.Nil
			}
		}
		return 0, nil
	}
	return b
}

func (b *claimerBench) answer(name string, rows func(args []any) [][]any) {
	b.db.query[name] = func(args []any) ([][]any, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if err := b.failing[name]; err != nil {
			return nil, err
		}
		return rows(args), nil
	}
}

func (b *claimerBench) due([]any) (rows [][]any) {
	first := make(map[uuid.UUID]time.Time)
	var subs []uuid.UUID
	for _, r := range b.rows {
		if at, ok := first[r.sub]; !ok || r.due.Before(at) {
			first[r.sub] = r.due
		}
		if !slices.Contains(subs, r.sub) {
			subs = append(subs, r.sub)
		}
	}
	for _, id := range sorted(subs) {
		rows = append(rows, []any{id, time.Until(first[id]).Microseconds(), 0.0, 0, int64(0)})
	}
	return rows
}

func (b *claimerBench) claimRows(args []any) (rows [][]any) {
	for i, sub := range uuidsIn(args[0]) {
		left := args[1].([]int32)[i]
		for _, r := range b.rows {
			if r.sub == sub && left > 0 && !r.due.After(time.Now()) {
				left--
				r.lease, r.due = args[2].(uuid.UUID), time.Now().Add(time.Duration(args[3].([]int64)[i])*time.Microsecond)
				rows = append(rows, []any{r.id, r.id, r.sub, 0, r.payload})
			}
		}
	}
	return rows
}

func (b *claimerBench) fetchRows(args []any) (rows [][]any) {
	for _, id := range uuidsIn(args[0]) {
		r := b.rows[id]
		if r == nil || r.lease != args[1].(uuid.UUID) {
			continue
		}
		text := fmt.Sprintf(`{"id":%q,"tenant":"default","url":"https://x.example/","event_types":["*"],"headers":{},"active":true,
			"secret":"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, r.sub)
		rows = append(rows, []any{id, r.made, "a", "default", nil, "https://x.example/", b.events, b.synchronous, make([]byte, r.payload), "", !b.gone[r.sub], &text})
	}
	return rows
}

// owe adds rows that are due in a while and returns them.
func (b *claimerBench) owe(sub *subscription, n int, in time.Duration) (rows []*row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		r := &row{id: uuid.New(), sub: sub.id, due: time.Now().Add(in), payload: 10, made: time.Now()}
		b.rows[r.id] = r
		rows = append(rows, r)
	}
	return rows
}

func (b *claimerBench) left() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.rows)
}

func (b *claimerBench) pass(d time.Duration) {
	barrier(&b.mu, &b.db.mu)
	b.bench.pass(d)
}

func TestClaimerTakesUpWhatIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(100, 64)
		go b.run(ctx)
		b.pass(time.Second)
		s := testSubscription("default", true, "*")
		b.owe(s, 3, 0)
		b.wakeUp()
		b.pass(2 * claimPause)
		require.Zero(t, b.left(), "woken: at once")
		b.owe(s, 1, 0)
		b.pass(claimEvery)
		require.Zero(t, b.left(), "within half a second when nothing wakes it")
		b.owe(s, 1, 100*time.Millisecond)
		b.wakeUp()
		b.pass(99 * time.Millisecond)
		require.Equal(t, 1, b.left())
		b.pass(5 * time.Millisecond)
		require.Zero(t, b.left(), "when it falls due")
		b.owe(s, 1000, 0)
		b.pass(claimEvery + time.Second)
		require.Zero(t, b.left(), "a backlog without pause")
		b.bench.requireEmpty(t)
		before := b.db.ran("due")
		b.pass(10 * time.Second)
		require.LessOrEqual(t, b.db.ran("due")-before, 21, "and then it rests")
	})
}

// After the database was away for longer than leases last, the first to know of what was sent must be the database.
func TestClaimerWaitsForOutcomesThatAreNotWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(100, 64)
		var away atomic.Bool
		setAway := func(now bool) {
			away.Store(now)
			b.mu.Lock()
			defer b.mu.Unlock()
			if delete(b.failing, "due"); now {
				b.failing["due"] = errors.New("away")
			}
		}
		b.record.spilled, b.record.failing = func(uuid.UUID, bool) {}, func(error) {}
		b.db.exec["record"] = func(args []any) (int64, error) {
			if away.Load() {
				return 0, errors.New("away")
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, id := range uuidsIn(args[0]) {
				delete(b.rows, id)
			}
			return 1, nil
		}
		go b.record.run(ctx)
		go b.run(ctx)
		s := testSubscription("default", true, "*")
		sent := func(r *row) *delivery {
			d := testDelivery(s, 1)
			d.id, d.claimed, d.lease.token = r.id, true, uuid.New()
			answered(d)
			return d
		}
		b.pass(time.Minute)
		setAway(true)
		for range 10 { // Outcomes come while the database is away, and their leases run out before it is back.
			b.record.put(entry{kind: entryOutcome, d: sent(b.owe(s, 1, 2*recordSlack)[0])})
			b.pass(recordSlack)
		}
		require.NotZero(t, b.left())
		before := b.db.ran("claim")
		setAway(false)
		b.pass(time.Minute)
		require.Zero(t, b.left(), "all recorded")
		require.Equal(t, before, b.db.ran("claim"))
		require.Empty(t, b.sent, "sent again")
		b.owe(s, 1, 0)
		b.pass(time.Second)
		require.Len(t, b.sent, 1, "and then it goes on")
	})
}

// A subscription whose backlog is done goes on receiving from the stream, without a question to the database each time.
func TestClaimerRestsWhenTheBacklogIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(100, 64)
		go b.run(ctx)
		s := testSubscription("default", true, "*")
		b.bench.lasts(s, time.Millisecond)
		b.owe(s, firstWindow, 0) // As many as are claimed at once: there may be more.
		b.pass(time.Second)
		require.Zero(t, b.left())
		before := b.db.ran("due")
		for range 1000 {
			b.bench.give(s, 1)
			b.pass(5 * time.Millisecond)
		}
		require.LessOrEqual(t, b.db.ran("due")-before, 12, "in five seconds")
	})
}

// Subscriptions in front, whose URLs refuse connections at once, do not keep those behind from their turn.
func TestClaimerServesAllInTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(10_000, 64)
		var subs []*subscription
		for range claimMost/firstWindow + 10 {
			s := testSubscription("default", true, "*")
			subs = append(subs, s)
			b.bench.failing(s, true) // So its window stays small.
		}
		slices.SortFunc(subs, func(a, b *subscription) int { return slices.Compare(a.id[:], b.id[:]) })
		for _, s := range subs[:len(subs)-1] {
			b.owe(s, 100, 0)
		}
		last := b.owe(subs[len(subs)-1], 1, 0)[0]
		go b.run(ctx)
		b.pass(5 * claimPause)
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Greater(t, len(b.rows), 1000, "the others have much left")
		require.NotContains(t, b.rows, last.id)
	})
}

func TestClaimerClaimsNoMoreThanThereIsRoomFor(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(100, 5)
		go b.run(ctx)
		s, other := testSubscription("default", true, "*"), testSubscription("default", true, "*")
		b.bench.lasts(s, -1)
		b.owe(s, 50, 0)
		b.owe(other, 50, 0)
		b.pass(5 * time.Second)
		require.Equal(t, 50, b.left())
		require.Equal(t, 5, b.bench.flying(s))
		b.bench.lasts(s, 0)
		close(b.bench.hung)
		b.pass(100 * time.Millisecond)
		require.Zero(t, b.left(), "its lane wakes the claimer")
		for range recordBacklog + 1 {
			b.record.put(entry{kind: entryDisable})
		}
		b.owe(other, 1, 0)
		b.pass(5 * time.Second)
		require.Equal(t, 1, b.left(), "nothing is claimed that can't be recorded")
	})
}

func TestClaimerFetchesSomeAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(100, 64)
		s := testSubscription("default", true, "*")
		for _, r := range b.owe(s, 6, 0) {
			r.payload = fetchBytes / 2
		}
		_, err := b.cycle(ctx)
		require.NoError(t, err)
		require.Equal(t, 3, b.db.ran("fetch_claimed"))
		b.pass(time.Second)
		require.Zero(t, b.left())
	})
}

func TestClaimerGivesBackWhatItCannotFetch(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(100, 64)
		s := testSubscription("default", true, "*")
		b.owe(s, 3, 0)
		b.failing["fetch_claimed"] = errors.New("connection refused")
		_, err := b.cycle(ctx)
		require.Error(t, err)
		b.failing["release"] = errors.New("connection refused")
		require.Error(t, b.release(ctx))
		clear(b.failing)
		require.NoError(t, b.release(ctx))
		require.Len(t, b.released, 3, "not only when the lease has run out")
		_, err = b.cycle(ctx)
		require.NoError(t, err)
		b.pass(time.Second)
		require.Zero(t, b.left())
	})
}

func TestClaimerGivesBackAtAStop(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(2, 2)
		s := testSubscription("default", true, "*")
		b.bench.lasts(s, time.Second)
		for range 2 {
			b.bench.give(s, 1)
		}
		rows := b.owe(s, 1, 0)
		b.pass(0)
		held := lease{token: uuid.New(), until: time.Now().Add(time.Minute)}
		rows[0].lease = held.token
		d := testDelivery(s, 1)
		d.id, d.claimed, d.spilled, d.lease = rows[0].id, true, true, held
		b.dispatch.hold(d.event, 1)
		b.dispatch.startClaimed(d)
		b.dispatch.stop()
		for _, d := range b.dispatch.dropQueues(true) {
			b.giveBack(d)
		}
		require.NoError(t, b.release(ctx))
		require.Equal(t, []uuid.UUID{rows[0].id}, b.released)
		b.pass(2 * time.Second)
		b.bench.requireEmpty(t)
	})
}

// A request that could outlast its lease is not begun: another relay may take the delivery up before it ends.
func TestALeaseTooShortIsGivenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(10, 10)
		cfg := config.Default()
		cfg.Database.URL = "postgres://"
		r, err := New(cfg, Options{})
		require.NoError(t, err)
		r.claimer, r.work = b.claimer, ctx
		for left, begun := range map[time.Duration]bool{
			15*time.Second + recordSlack:                    true,
			15*time.Second + recordSlack - time.Millisecond: false,
		} {
			d := testDelivery(&subscription{id: uuid.New(), target: nil}, 1)
			d.claimed, d.lease = true, lease{token: uuid.New(), until: time.Now().Add(left)}
			r.attempt(r.sender.NewClient(), d)
			require.Equal(t, !begun, d.outcome.Aborted)
			if !begun {
				r.recordAttempt(d)
				require.Equal(t, []*delivery{d}, b.returned)
			}
		}
	})
}

func TestClaimerCancelsWhatIsSwitchedOff(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(10, 10)
		s := testSubscription("default", true, "*")
		b.owe(s, 1, 0)
		b.gone[s.id] = true
		_, err := b.cycle(ctx)
		require.NoError(t, err)
		require.Len(t, b.record.entries, 1)
		e := b.record.entries[0]
		require.Equal(t, string(outbox.StatusCancelled), newRecord(e.kind, e.d, time.Now()).Status)
		b.bench.requireEmpty(t)
	})
}

// A worker believes in its lease for as long as the database keeps it, and no longer.
func TestALeaseIsAsLongHereAsInTheDatabase(t *testing.T) {
	for name, own := range map[string]time.Duration{"delivery.timeout": 0, "a subscription's own": 40 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				b := newClaimerBench(100, 64)
				due := b.due
				b.answer("due", func(args []any) [][]any {
					rows := due(args)
					for _, r := range rows {
						r[len(r)-1] = own.Microseconds()
					}
					return rows
				})
				var until, kept time.Time
				attempt := b.bench.attempt
				b.bench.attempt = func(c *Client, d *delivery) {
					b.mu.Lock()
					until, kept = d.lease.until, b.rows[d.id].due
					b.mu.Unlock()
					attempt(c, d)
				}
				go b.run(ctx)
				b.owe(testSubscription("default", true, "*"), 1, 0)
				b.wakeUp()
				b.pass(time.Second)
				require.Zero(t, b.left())
				require.Equal(t, kept, until)
				require.Equal(t, cmp.Or(own, b.timeout)+leaseSlack, until.Sub(time.Now().Add(-time.Second)).Round(time.Second))
			})
		})
	}
}
