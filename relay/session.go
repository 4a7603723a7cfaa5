package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
)

const (
	// standbyEvery is how often a relay that stands by looks whether the slot is free.
	standbyEvery = time.Second

	// retryAtMost is the longest pause between two tries to read the stream, up to a quarter of it by chance aside.
	retryAtMost = 2 * time.Second

	// idleCheckpoint is how often the position is persisted while only other tables are written to: a small write, lest
	// an idle outbox keep the database busy, and often enough that little WAL is retained.
	idleCheckpoint = 5 * time.Second

	// lookAheadEvery is how often the journal is asked for subscriptions that were switched off further on in the stream.
	lookAheadEvery = time.Second
)

// tail reads the stream, again and again, until intake ends.
func (r *Relay) tail(intake context.Context) error {
	backoff := 100 * time.Millisecond
	for intake.Err() == nil {
		start := time.Now()
		err := r.session(intake)
		if intake.Err() != nil {
			return nil
		}
		r.setLeading(false)
		wait := standbyEvery
		switch {
		case errors.Is(err, errYield):
			r.setStandby()
			wait = standbyEvery / 4
		case errors.Is(err, errStandby) || hasCode(err, "55006"):
			r.yield.taken()
			r.setStandby()
			backoff = 100 * time.Millisecond
		case r.fatal(err):
			return mend(err)
		default:
			if time.Since(start) > 2*retryAtMost {
				backoff = 100 * time.Millisecond
			}
			r.yield.lost(time.Now())
			wait = backoff
			backoff = min(2*backoff, retryAtMost)
			what := "the stream ended"
			if !r.everLed {
				what = "cannot relay yet"
			}
			r.setReason(what + ": " + explain(err))
			r.log.Warn(what+"; trying again", "error", explain(err), "in", wait.String())
		}
		ended := time.Now()
		r.awaitOwned(intake)
		sleep(intake, wait+rand.N(wait/4+1)-time.Since(ended))
	}
	return nil
}

// awaitOwned waits until all that came down the last stream stands in the database, so that the next one, which may begin
// earlier, finds it there. What waits unsent is dropped: it comes again.
func (r *Relay) awaitOwned(ctx context.Context) {
	r.dispatch.dropQueues(false)
	for ctx.Err() == nil && !r.dispatch.owned() {
		sleep(ctx, 10*time.Millisecond)
	}
	// Not until the recorder is idle: claims go on meanwhile, and those of a large backlog would keep this relay from leading.
	for mark := r.recorder.mark(); ctx.Err() == nil && !r.recorder.passed(mark); {
		sleep(ctx, 10*time.Millisecond)
	}
	r.tracker.reset(0)
}

// session leads and reads one stream until it ends.
func (r *Relay) session(intake context.Context) error {
	looking, cancel := context.WithTimeout(intake, recordTimeout) // On a connection that hangs it would wait for ever.
	defer cancel()
	if slot, err := store.FindSlot(looking, r.db, r.cfg.Replication.Slot); err != nil {
		return err
	} else if slot != nil && slot.Active {
		if freed, err := r.watchLeader(looking); err != nil {
			return err
		} else if !freed {
			return errStandby // Without taking a walsender to find out.
		}
	} else if yields, err := r.yields(looking, slot); err != nil {
		return err
	} else if yields {
		return errYield
	}
	conn, err := r.connectReplication(looking)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // It ends here one way or the other.
	}()
	if err := r.lead(looking, conn); err != nil {
		return err
	}
	pid, err := askPID(looking, conn)
	if err != nil {
		return err
	}
	ready, err := r.prepareSlot(intake, conn)
	if err != nil {
		return err
	}
	err = r.readStream(intake, conn, pid, ready)
	if intake.Err() == nil {
		r.setReason("the stream ended")
		if errors.Is(err, errUnheard) { // The pool's connections are as dead, most likely.
			_ = conn.Conn().Close()
			r.db.Reset()
			r.recorder.reconnect()
			defer r.endOwnSender(intake, pid)
		}
		// The lead goes with the connection: where that still lives, whoever takes over finds all of this stream in the database.
		owning, cancel := context.WithTimeout(intake, ownWithin)
		defer cancel()
		r.letGo.Store(&cancel)
		defer r.letGo.Store(nil)
		r.awaitOwned(owning)
	}
	return err
}

// errYield says that the slot is free, and left to another relay for a while.
var errYield = errors.New("the slot is left to the relay that had it before")

// yields says whether to leave the slot to another relay.
func (r *Relay) yields(ctx context.Context, slot *store.Slot) (bool, error) {
	if !r.yield.standsBy {
		return false, nil
	}
	state, err := store.LoadState(ctx, r.db, r.cfg.Replication.Slot)
	return err == nil && r.yield.yields(time.Now(), slot, state), err
}

// ownWithin is how long a relay holds the lead for what has come down its stream to be sent or written down: in half a second it is,
// unless the database takes nothing.
const ownWithin = 4 * staleAfter

// readStream sets up router and tailer at the slot's position and runs them with what belongs to a stream. pid is the server's process.
func (r *Relay) readStream(intake context.Context, conn *pgconn.PgConn, pid int, ready *prepared) error {
	beginning, cancel := context.WithTimeout(intake, recordTimeout)
	defer cancel()
	route, err := r.newRouter(beginning, ready.confirmed)
	if err != nil {
		return err
	}
	if err := store.BeginReading(beginning, r.db, r.cfg.Replication.Slot); err != nil {
		return err
	}
	senderTimeout, err := askSenderTimeout(beginning, conn)
	if err != nil {
		return err
	}
	r.pulse.reset(time.Now())
	if err := r.startStream(beginning, conn); err != nil {
		return r.withoutPublication(intake, err)
	}
	failpoint.Hit("stream/after-start")
	// Nobody else has the slot now. What was committed up to here may have been delivered by whoever had it before, unless
	// that one told how far it had come.
	if route.until = ready.state.Read; route.until == 0 {
		if route.until, err = store.CurrentWAL(beginning, r.db); err != nil {
			return err
		}
	}
	if err := route.askJournal(beginning); err != nil { // What was committed before that position, and is read as if it were new no more.
		return err
	}
	r.tracker.reset(ready.confirmed)
	t := &tailer{
		conn: conn, hurry: make(chan struct{}, 1), log: r.log, router: route, tracker: r.tracker, metrics: r.metrics, room: r.dispatch.room,
		pulse: &r.pulse, persisted: &atomic.Uint64{}, relations: make(map[uint32]*relation), sent: ready.confirmed, heardAt: time.Now(), readAt: time.Now(),
		serverEnd: ready.confirmed, unknown: make(map[byte]bool), slot: r.cfg.Replication.Slot, deadAfter: deadAfter(senderTimeout),
	}
	t.status = func(ctx context.Context, s pglogrepl.StandbyStatusUpdate) error {
		return pglogrepl.SendStandbyStatusUpdate(ctx, conn, s)
	}
	t.persisted.Store(uint64(ready.confirmed))
	r.persisted.Store(uint64(ready.confirmed))
	route.pause, route.beside = t.pause, t.beside
	r.yield.took()
	r.setLeading(true)
	r.log.Info("relaying", "slot", r.cfg.Replication.Slot, "from", ready.confirmed.String())

	ctx, end := context.WithCancelCause(intake)
	defer end(nil)
	r.endSession.Store(&end)
	defer r.endSession.Store(nil)
	if r.recorder.failed.Load() {
		return errors.New("the database takes no writes")
	}

	defer route.drop()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.run(groupCtx) })
	group.Go(func() error { return r.checkpoints(groupCtx, t) })
	group.Go(func() error { return r.lookAhead(groupCtx, route) })
	group.Go(func() error { return r.watchPublication(groupCtx, ready.state) })
	group.Go(func() error { return r.watchOwnSender(groupCtx, pid, &t.silence) })
	err = group.Wait()
	if intake.Err() != nil {
		return r.endStream(t)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return r.withoutPublication(intake, err)
}

// endStream ends a stream because the relay stops: of what it brought, what is in flight ends or is written down, then the
// position is confirmed.
func (r *Relay) endStream(t *tailer) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Delivery.Timeout+5*time.Second)
	defer cancel()
	r.dispatch.stop()
	r.recorder.stopping.Store(true)
	for _, d := range r.dispatch.dropQueues(true) {
		r.claimer.giveBack(d)
	}
	for !r.dispatch.owned() || !r.recorder.idle() {
		if ctx.Err() != nil || r.recorder.failed.Load() {
			break
		}
		if err := t.speak(false); err != nil {
			return err
		}
		sleep(ctx, 5*time.Millisecond)
	}
	// Queued deliveries were dropped unsettled, so this is before the first of them.
	if err := t.speak(false); err != nil {
		return err
	}
	if err := r.persist(ctx, t); err != nil {
		return err
	}
	failpoint.Hit("stop/before-finish")
	if err := t.finish(ctx); err != nil {
		return err
	}
	failpoint.Hit("stop/after-finish")
	r.leaveRead(ctx, t)
	failpoint.Hit("stop/after-read")
	return nil
}

// leaveRead leaves word of how far the stream was read, for whoever reads it next: deliveries of later transactions need no
// looking up. Without it they are looked up all the same.
func (r *Relay) leaveRead(ctx context.Context, t *tailer) {
	err := t.conn.Conn().SetDeadline(time.Now().Add(2 * time.Second))
	if err == nil {
		err = store.EndReading(ctx, t.conn, r.cfg.Replication.Slot, max(t.router.until, t.lastRead+1))
	}
	if err != nil {
		r.log.Debug("could not leave word of how far the stream was read", "error", explain(err))
	}
}

// checkpoints persists positions that may be confirmed, so that the tailer may confirm them.
func (r *Relay) checkpoints(ctx context.Context, t *tailer) error {
	last, lastWrite := uint64(0), time.Now()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-t.hurry:
			asked = true
		case <-time.After(statusEvery / 2):
		}
		busy := r.metrics.captured.Load() // Events came: not only other tables' WAL.
		if !asked && busy == last && time.Since(lastWrite) < idleCheckpoint {
			continue
		}
		last, lastWrite = busy, time.Now()
		if err := r.persist(ctx, t); err != nil {
			return err
		}
	}
}

func (r *Relay) persist(ctx context.Context, t *tailer) error {
	safe := t.safe.Load()
	if safe <= t.persisted.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	failpoint.Hit("position/before-persist")
	if err := store.SaveConfirmed(ctx, r.db, r.cfg.Replication.Slot, pglogrepl.LSN(safe)); err != nil {
		return err
	}
	failpoint.Hit("position/after-persist")
	r.persisted.Store(safe)
	t.persisted.Store(safe)
	return nil
}

// lookAhead asks the journal again and again.
func (r *Relay) lookAhead(ctx context.Context, route *router) error {
	for {
		sleep(ctx, lookAheadEvery)
		if ctx.Err() != nil {
			return nil
		}
		if err := route.askJournal(ctx); err != nil {
			return err
		}
	}
}

// newRouter loads the subscriptions as they were at a position, and what is to come of them.
func (r *Relay) newRouter(ctx context.Context, at pglogrepl.LSN) (*router, error) {
	route := newRouter()
	route.db, route.log, route.metrics = r.db, r.log, r.metrics
	route.envelope, route.dispatch, route.record, route.giveBack = r.body, r.dispatch, r.recorder, r.claimer.giveBack
	rows, err := store.SubscriptionsAt(ctx, r.db, at)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		s, err := parseSubscription([]byte(row))
		if err != nil {
			r.log.Error("cannot read a subscription; passed over", "error", err)
			continue
		}
		route.subscriptions.set(s)
	}
	changes, err := store.ChangesAhead(ctx, r.db, at)
	if err != nil {
		return nil, err
	}
	route.ahead(changes)
	return route, nil
}

func hasCode(err error, code string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == code
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
