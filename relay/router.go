package relay

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

const (
	// lookupDeliveries and lookupBytes bound what is looked up at once, while WAL is read that may have been handled
	// before: a round trip for some hundred keys costs hardly more than one for a few.
	lookupDeliveries = 500
	lookupBytes      = 1 << 20

	// heldDeliveries and heldBytes bound what is held of the transaction that is being read: it may switch a subscription off behind
	// an event, which then is not sent. The end of a transaction that is no larger follows at once; that of a larger one is not waited
	// for, but the journal is asked.
	heldDeliveries = 500
	heldBytes      = 1 << 20

	// patience is how long a full lane that moves may hold the tailer up in each second, once another could be kept
	// waiting by it.
	patience = 20 * time.Millisecond
)

// router turns what comes down the stream into deliveries, by the subscriptions as they were at each commit. It runs in
// the tailer's goroutine; only goingAway may be called by others.
type router struct {
	db       store.DB
	log      *slog.Logger
	envelope func(eventRow) []byte // Makes a request's body.
	dispatch *dispatcher
	record   *recorder
	metrics  *metrics
	pause    func(ctx context.Context, d time.Duration) error // Waits for room, at most d, answering the server meanwhile.
	// beside does what may take its time, answering the server meanwhile.
	beside   func(ctx context.Context, do func(context.Context) error) error
	giveBack func(*delivery) // Has a claimed delivery released unsent.

	subscriptions *directory
	matched       []*subscription

	until      pglogrepl.LSN // Transactions before it may have been handled by an earlier stream.
	lookups    []*delivery   // Deliveries to be looked up before they go on.
	lookupSize int64

	held     []*delivery // Deliveries of the transaction that is being read, until its end.
	heldSize int64
	asked    bool // The journal was asked about it, so nothing is held any more.

	patienceLeft time.Duration
	patienceFrom time.Time

	asks sync.Mutex // One at a time asks the journal for changes ahead.

	mu   sync.Mutex
	off  map[uuid.UUID]map[int64]struct{} // Changes ahead that switch a subscription off.
	read map[int64]bool                   // Such changes as were read from this stream; true: before the last asking.
}

func newRouter() *router {
	return &router{
		subscriptions: newDirectory(),
		off:           make(map[uuid.UUID]map[int64]struct{}),
		read:          make(map[int64]bool),
		beside:        func(ctx context.Context, do func(context.Context) error) error { return do(ctx) },
	}
}

// event routes one event of a transaction.
func (r *router) event(ctx context.Context, tx *transaction, row eventRow) error {
	r.metrics.capture()
	r.matched = r.subscriptions.match(r.matched[:0], row.tenant, row.typ)
	if len(r.matched) == 0 {
		return nil
	}
	if err := r.awaitRoom(ctx); err != nil {
		return err
	}
	e := &event{
		id: row.id, webhookID: row.id.String(), typ: row.typ, tenant: row.tenant, userID: row.userID,
		createdAt: row.createdAt, trace: row.trace, body: r.envelope(row),
	}
	e.size = int64(len(e.body)) + eventOverheadBytes
	tx.add(len(r.matched))
	r.dispatch.hold(e, len(r.matched))
	for i, s := range r.matched {
		d := &delivery{id: deliveryID(e.id, s.id), event: e, sub: s, tx: tx}
		if tx.commit < r.until {
			r.lookups = append(r.lookups, d)
			r.lookupSize += e.size
			continue
		}
		if !r.asked {
			r.held = append(r.held, d)
			r.heldSize += e.size
			continue
		}
		if err := r.forward(ctx, d); err != nil {
			r.dispatch.releaseN(e, len(r.matched)-i)
			return err
		}
	}
	if len(r.held) >= heldDeliveries || r.heldSize >= heldBytes {
		if err := r.beside(ctx, r.askJournal); err != nil {
			return err
		}
		r.asked = true
		return r.letGo(ctx)
	}
	if len(r.lookups) >= lookupDeliveries || r.lookupSize >= lookupBytes {
		return r.lookUp(ctx)
	}
	return nil
}

// commit sends what was held of a transaction: nothing more comes of it.
func (r *router) commit(ctx context.Context) error {
	r.asked = false
	return r.letGo(ctx)
}

// letGo sends what was held.
func (r *router) letGo(ctx context.Context) error {
	for n, d := range r.held {
		if err := r.forward(ctx, d); err != nil {
			r.held = r.held[n:] // This one too: it is not on its way.
			return err
		}
		r.held[n] = nil
	}
	if len(r.held) > heldDeliveries {
		r.held = nil // An event of very many subscriptions: let go of the array.
	}
	r.held, r.heldSize = r.held[:0], 0
	return nil
}

// awaitRoom waits while too much is held in memory or waits to be recorded.
func (r *router) awaitRoom(ctx context.Context) error {
	for {
		wait := time.Second // The dispatcher says when there is room.
		if r.record.backlogged() {
			wait = recordEvery // The recorder does not.
		} else if !r.dispatch.overfull() {
			return nil
		}
		if err := r.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// lookUp sends on those of the gathered deliveries that do not stand in the database already.
func (r *router) lookUp(ctx context.Context) error {
	if len(r.lookups) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(r.lookups))
	for i, d := range r.lookups {
		ids[i] = d.id
	}
	failpoint.Hit("router/before-lookup")
	found, err := r.recorded(ctx, ids)
	if err != nil {
		return err
	}
	failpoint.Hit("router/after-lookup")
	for len(r.lookups) > 0 {
		d := r.lookups[0]
		if _, ok := found[d.id]; ok {
			d.tx.settle()
			r.dispatch.release(d)
		} else if err := r.forward(ctx, d); err != nil {
			return err
		}
		r.lookups[0] = nil
		r.lookups = r.lookups[1:]
	}
	r.lookups, r.lookupSize = nil, 0
	return nil
}

// recorded asks which of these deliveries stand in the database. On a connection that hangs it must not wait for ever: the
// stream would with it.
func (r *router) recorded(ctx context.Context, ids []uuid.UUID) (found map[uuid.UUID]struct{}, err error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	err = r.beside(ctx, func(ctx context.Context) (err error) {
		found, err = store.Recorded(ctx, r.db, ids)
		return err
	})
	return found, err
}

// drop lets go of what was gathered or held: the stream has ended, and brings it again.
func (r *router) drop() {
	for _, d := range slices.Concat(r.lookups, r.held) {
		r.dispatch.release(d)
	}
	r.lookups, r.lookupSize = nil, 0
	r.held, r.heldSize = nil, 0
}

// forward brings a delivery to its lane, or has it written down where that would keep others waiting.
func (r *router) forward(ctx context.Context, d *delivery) error {
	if r.goingAway(d.sub.id) {
		r.writeDown(d, entryCancel)
		return nil
	}
	if d.sub.fault != nil {
		r.failUnsendable(d)
		return nil
	}
	for {
		switch r.dispatch.offer(d) {
		case taken:
			return nil
		case hanging:
			r.writeDown(d, entryUnsent)
			return nil
		case busy:
			wait := r.mayWait()
			if wait <= 0 {
				r.writeDown(d, entryUnsent)
				return nil
			}
			start := time.Now()
			if err := r.pause(ctx, wait); err != nil {
				return err
			}
			r.patienceLeft -= time.Since(start)
		case quick:
			if err := r.pause(ctx, tempoSpan); err != nil {
				return err
			}
		}
	}
}

// mayWait says how long a full but moving lane may hold the tailer up.
func (r *router) mayWait() time.Duration {
	if r.dispatch.queued() >= r.subscriptions.active {
		return time.Second // All have enough to do. Asked again and again.
	}
	if now := time.Now(); now.Sub(r.patienceFrom) >= time.Second {
		r.patienceFrom, r.patienceLeft = now, patience
	}
	return r.patienceLeft
}

// writeDown has an unsent delivery recorded instead of sending it.
func (r *router) writeDown(d *delivery, kind entryKind) {
	r.record.put(entry{kind: kind, d: d})
	r.dispatch.release(d)
}

// failUnsendable records that the subscription itself keeps the delivery from being sent.
func (r *router) failUnsendable(d *delivery) {
	now := time.Now()
	d.outcome = Outcome{StartedAt: now, EndedAt: now, Class: outbox.ClassOther, Error: d.sub.fault.Error()}
	d.decision = Decision{Status: outbox.StatusFailed}
	r.writeDown(d, entryOutcome)
}
