package relay

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

const (
	// recordEvery is the least time between the beginnings of two batches that are not full: a statement and its commit
	// cost as much as some dozen rows.
	recordEvery = 10 * time.Millisecond

	// recordBatch is how many records one statement writes: beyond some hundred, a row costs no less.
	recordBatch = 500

	// recordBacklog is how many records of each kind may wait: workers wait beyond it, and with them the tailer. After a
	// crash, what waited is sent again, so it is kept near what is in flight.
	recordBacklog = 512

	// recordOwned is how many of a batch are left to outcomes of what the database owns, where there are as many: else they
	// would never have their turn on a busy relay.
	recordOwned = recordBatch / 5

	// sweepBatch is how many deliveries one statement cancels: a subscription that is removed may have millions that wait,
	// and others' outcomes go between.
	sweepBatch = 1000

	// visiblePause and visibleTries are how often a change that was read is looked for in the table: while its commit waits
	// for a standby, the stream has it already and nobody sees it.
	visiblePause = 20 * time.Millisecond
	visibleTries = 100

	// recordTimeout bounds one round trip, so that a dead connection is found out.
	recordTimeout = 30 * time.Second

	// recordSlow is how long one may take before it is said that outcomes wait: a statement that waits for a lock, or for a
	// standby, fails by nothing, and until it is written little is sent.
	recordSlow = 5 * time.Second
)

// recorder writes what becomes of deliveries into the database, in order and in batches: whatever has gathered while the
// last batch was being written goes with the next. It tries again until the database takes it.
//
// Outcomes of what the database owns come after the rest: where many URLs hang, thousands of requests time out at once, and
// the stream, which the rest comes of, would stand still for all until they are written.
type recorder struct {
	db      store.DB
	save    store.DB // The same, for the statements that save outcomes: the many.
	log     *slog.Logger
	metrics *metrics
	timeout time.Duration                          // delivery.timeout, which a lease must outlast.
	enough  int                                    // Entries for which nothing more is waited for.
	spilled func(subscription uuid.UUID, now bool) // A pending delivery was written down; now: due at once.
	failing func(error)                            // The database takes no writes; called at each failure.
	saved   func([]*delivery)                      // The outcomes of their requests are written.

	failed   atomic.Bool                        // The last try failed.
	began    atomic.Pointer[time.Time]          // The try under way.
	stopping atomic.Bool                        // Sweeps are left to the next start, which reads their changes again.
	giveUp   atomic.Pointer[context.CancelFunc] // Ends the try under way.

	mu        sync.Mutex
	entries   []entry
	owned     []entry // Outcomes of what the database owns. They can wait.
	writing   int     // Entries in the batch under way.
	handed    progress
	done      progress // Written, or abandoned: always the oldest of each kind.
	abandoned bool     // Nobody waits any more.
	wake      chan struct{}
	relief    *sync.Cond // The backlog got shorter.

	batches uint64
}

// entry is one thing to write.
type entry struct {
	kind   entryKind
	after  progress // What was handed over before it.
	d      *delivery
	tx     *transaction // entryChange, entrySweep: whose settling waits for it.
	change int64        // entryChange
	id     uuid.UUID    // entrySweep, entryDisable: the subscription.
	at     time.Time    // entrySweep: when the change was committed, on the database's clock.
	more   bool         // entrySweep: it was not the last of its change.
	reason string       // entryDisable
}

type entryKind int

const (
	entryOutcome entryKind = iota // What became of an attempt.
	entrySpill                    // Pending, leased to the request in flight.
	entryUnsent                   // Pending, due at once.
	entryCancel                   // Cancelled before it was sent.
	entryChange                   // A subscription change was read.
	entrySweep                    // A subscription is no more: cancel what waits for it.
	entryDisable                  // Switch a subscription off.
)

func newRecorder(db store.DB, log *slog.Logger, m *metrics, timeout time.Duration) *recorder {
	r := &recorder{db: db, save: db, log: log, metrics: m, timeout: timeout, enough: recordBatch, saved: func([]*delivery) {}, wake: make(chan struct{}, 1)}
	r.relief = sync.NewCond(&r.mu)
	return r
}

// put hands entries over. It never blocks.
func (r *recorder) put(entries ...entry) {
	r.mu.Lock()
	for _, e := range entries {
		e.after = r.handed
		r.handed.add(&e)
		if e.owned() {
			r.owned = append(r.owned, e)
		} else {
			r.entries = append(r.entries, e)
		}
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// putOutcome hands an outcome over and waits while too much is unwritten.
func (r *recorder) putOutcome(d *delivery) {
	r.put(entry{kind: entryOutcome, d: d})
	if d.decision.Disable {
		r.put(entry{kind: entryDisable, id: d.sub.id, reason: "answered " + statusText(d.outcome.Code)})
	}
	mine := &r.entries
	if d.claimed || d.spilled {
		mine = &r.owned
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(*mine) > recordBacklog && !r.abandoned {
		r.relief.Wait()
	}
}

// backlogged says whether so much is unwritten that nothing more should be read from the stream; burdened whether nothing
// more should be claimed.
func (r *recorder) backlogged() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries) > recordBacklog
}

func (r *recorder) burdened() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries) > recordBacklog || len(r.owned) > recordBacklog
}

// idle says whether all is written.
func (r *recorder) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries) == 0 && len(r.owned) == 0 && r.writing == 0
}

// mark stands for all that was put so far; passed says whether that is written. Unlike idle, it comes true however much
// is put meanwhile.
func (r *recorder) mark() progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.handed
}

func (r *recorder) passed(mark progress) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done.owned >= mark.owned && r.done.others >= mark.others
}

// run writes until ctx ends. The caller sees to it that all is written by then.
func (r *recorder) run(ctx context.Context) {
	defer r.abandon()
	var began time.Time
	for {
		r.gather(ctx, began)
		began = time.Now()
		batch := r.take()
		if batch == nil {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			continue
		}
		if !r.write(ctx, batch) {
			return
		}
		r.settle(batch)
	}
}

// gather waits a little when the last batch began just now and few entries have come since.
func (r *recorder) gather(ctx context.Context, began time.Time) {
	r.mu.Lock()
	n := len(r.entries) + len(r.owned)
	r.mu.Unlock()
	if wait := recordEvery - time.Since(began); wait > 0 && n > 0 && n < r.enough {
		sleep(ctx, wait)
	}
}

// abandon drops what is not being written, and lets workers go that wait, now or later: the recorder has ended, or is
// about to.
func (r *recorder) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.entries) + len(r.owned) + r.writing; n > 0 {
		r.log.Warn("ended with outcomes unwritten; those deliveries are made again", "count", n)
	}
	r.done.others += uint64(len(r.entries))
	r.done.owned += uint64(len(r.owned))
	r.entries, r.owned, r.abandoned = nil, nil, true
	r.relief.Broadcast()
}

// collisionsMost is how often a batch is written again at once that collided with somebody else's transaction.
const collisionsMost = 5

// collided says whether a statement failed by what others did at the same time: serialization_failure or deadlock_detected.
func collided(err error) bool { return hasCode(err, "40001") || hasCode(err, "40P01") }

// write tries until the batch is written, or ctx ends.
func (r *recorder) write(ctx context.Context, batch []entry) bool {
	backoff := 50 * time.Millisecond
	for collisions := 0; ; {
		err := r.try(ctx, batch)
		if err == nil {
			if r.failed.Swap(false) {
				r.log.Info("the database takes writes again")
			}
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		r.metrics.recordFailures.Inc()
		if collisions++; collided(err) && collisions <= collisionsMost {
			continue
		}
		if !r.failed.Swap(true) {
			r.log.Warn("the database takes no writes; outcomes are kept until it does", "error", explain(err))
		}
		r.failing(err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, 2*time.Second)
	}
}

// try writes a batch once, unless it is called off.
func (r *recorder) try(ctx context.Context, batch []entry) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.giveUp.Store(&cancel)
	defer r.giveUp.Store(nil)
	now := time.Now()
	r.began.Store(&now)
	defer r.began.Store(nil)
	defer time.AfterFunc(recordSlow, func() { r.log.Warn(outcomesWait) }).Stop()
	return r.flush(ctx, batch)
}

// waits says whether the try under way has taken longer than recordSlow.
func (r *recorder) waits() bool {
	began := r.began.Load()
	return began != nil && time.Since(*began) > recordSlow
}

// outcomesWait is said then.
const outcomesWait = "outcomes wait to be written: the database has taken none for 5 s, as where a table of schema outbox is locked or " +
	"a synchronous standby is gone"

// reconnect has the try under way given up, whose connection leads nowhere, and made again over another.
func (r *recorder) reconnect() {
	if giveUp := r.giveUp.Load(); giveUp != nil {
		(*giveUp)()
	}
}

// settle tells everyone that a batch stands in the database.
func (r *recorder) settle(batch []entry) {
	var requests []*delivery
	for _, e := range batch {
		switch {
		case e.kind == entryChange, e.kind == entrySweep && !e.more:
			e.tx.settle()
		case e.d != nil:
			if !e.d.settled {
				e.d.settled = true
				e.d.tx.settle()
			}
			r.metrics.recorded(e.kind, e.d)
			if e.kind == entryOutcome {
				requests = append(requests, e.d)
			}
			if e.kind == entrySpill || e.kind == entryUnsent {
				r.spilled(e.d.sub.id, e.kind == entryUnsent)
			}
		}
	}
	r.mu.Lock()
	r.writing = 0
	for i := range batch {
		r.done.add(&batch[i])
	}
	r.mu.Unlock()
	r.saved(requests)
}
