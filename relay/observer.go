package relay

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
)

const (
	// heartbeatEvery is how often this relay's row in outbox.relays and its statistics are written, beside the moments at which
	// it begins or ceases to lead or to stand by.
	heartbeatEvery = 5 * time.Second

	// backlogEvery is how often the leader counts what waits in the database, at least, and backlogShare bounds what that
	// may cost: the next count comes no sooner than so many times what the last one took, whether it came to an end or not.
	backlogEvery = 15 * time.Second
	backlogShare = 20

	// lastWrite bounds what is still written once the relay has stopped.
	lastWrite = 2 * time.Second
)

// observer writes down for others what this relay sees of itself: a heartbeat, statistics, and what waits. What it writes
// is for people only; nothing depends on it.
type observer struct {
	relay *Relay
	db    store.DB // Set before it runs.
	log   *slog.Logger
	self  store.Heartbeat
	stats *statistics

	captured uint64 // Events counted so far.
	rivals   string // Slots that other relays read, as last seen.
	failing  bool

	nextCount    time.Time // Of what waits; for the goroutine that counts.
	failingCount bool

	mu      sync.Mutex
	backlog store.Backlog
}

func newObserver(r *Relay, version string) *observer {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	id := uuid.New()
	return &observer{
		relay: r, log: r.log, stats: newStatistics(id),
		self: store.Heartbeat{ID: id, Host: host, PID: os.Getpid(), Version: version, Slot: r.cfg.Replication.Slot},
	}
}

// last returns what waited when it was last counted; nothing where this relay does not lead.
func (o *observer) last() store.Backlog {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.backlog
}

// run observes until ctx ends, then takes the heartbeat back.
func (o *observer) run(ctx context.Context) {
	o.self.StartedAt = time.Now()
	var counting sync.WaitGroup
	counting.Go(func() { o.runCounts(ctx) })
	writing, cancel := lingering(ctx, lastWrite)
	defer cancel()
	for ctx.Err() == nil {
		o.note(ctx, o.write(writing))
		o.relay.health.forget(time.Now())
		select {
		case <-ctx.Done():
		case <-o.relay.changed:
		case <-time.After(heartbeatEvery):
		}
	}
	counting.Wait()
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancelLast()
	o.note(last, o.flush(last))
	o.note(last, store.EndHeartbeat(last, o.db, o.self.ID))
}

// lingering returns a context that ends so long after ctx. A heartbeat that was called off halfway might be written by the server after
// the row was removed, and tell of a relay that is no more.
func lingering(ctx context.Context, long time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(long, cancel) })
	return longer, func() { stop(); cancel() }
}

// note logs that writing fails, once.
func (o *observer) note(ctx context.Context, err error) {
	if err != nil && !o.failing && ctx.Err() == nil {
		o.log.Warn("cannot write heartbeat and statistics; trying again", "error", explain(err))
	}
	o.failing = err != nil
}

func (o *observer) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	o.self.Leads = o.relay.leads()
	o.self.Ready, o.self.State = o.relay.Ready()
	o.self.InFlight = o.relay.dispatch.inFlight()
	if err := store.Beat(ctx, o.db, o.self); err != nil {
		return err
	}
	if err := o.lookForRivals(ctx); err != nil {
		return err
	}
	return o.flush(ctx)
}

// lookForRivals warns, once, where another relay leads with a slot of its own: both send every event.
func (o *observer) lookForRivals(ctx context.Context) error {
	if !o.self.Leads {
		return nil
	}
	slots, err := store.Rivals(ctx, o.db, o.self.Slot, 3*heartbeatEvery)
	if err != nil {
		return err
	}
	if rivals := strings.Join(slots, ","); rivals != o.rivals {
		if o.rivals = rivals; rivals != "" {
			o.log.Warn("another relay reads this database by a slot of its own, and sends each event too: give all relays one replication.slot",
				"slot", o.self.Slot, "others", rivals)
		}
	}
	return nil
}

// runCounts counts what waits until ctx ends. Beside the heartbeats: a count may take longer than the time between two.
func (o *observer) runCounts(ctx context.Context) {
	for ctx.Err() == nil {
		err := o.count(ctx)
		if err != nil && !o.failingCount && ctx.Err() == nil {
			o.log.Warn("cannot count what waits; trying again", "error", explain(err))
		}
		o.failingCount = err != nil
		sleep(ctx, heartbeatEvery)
	}
}

// count counts what waits, where this relay leads and it is time to.
func (o *observer) count(ctx context.Context) error {
	if !o.relay.leads() {
		o.setBacklog(store.Backlog{})
		return nil
	}
	start := time.Now()
	if start.Before(o.nextCount) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	b, err := store.CountBacklog(ctx, o.db, o.relay.cfg.Replication.Slot)
	o.nextCount = start.Add(max(backlogEvery, backlogShare*time.Since(start)))
	if err != nil {
		return err
	}
	o.setBacklog(b)
	o.stats.waiting(start, b)
	return nil
}

func (o *observer) setBacklog(b store.Backlog) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.backlog = b
}

// flush writes the statistics that have changed.
func (o *observer) flush(ctx context.Context) error {
	if captured := o.relay.metrics.captured.Load(); captured > o.captured {
		o.stats.captured(time.Now(), captured-o.captured)
		o.captured = captured
	}
	minutes, hours := o.stats.changed()
	err := store.SaveStats(ctx, o.db, minutes, hours)
	if err != nil {
		o.stats.unsaved(minutes, hours, time.Now())
	}
	o.stats.saved(time.Now())
	return err
}

// attempted tells everyone who counts of an attempt.
func (r *Relay) attempted(d *delivery) {
	r.metrics.attempted(d)
	r.observer.stats.attempted(d)
	r.health.attempted(d)
	if r.log.Enabled(context.Background(), slog.LevelDebug) {
		r.log.Debug("attempt", "delivery_id", d.id, "event_id", d.event.id, "event_type", d.event.typ,
			"subscription_id", d.sub.id, "host", d.sub.host(), "attempt", d.attempts+1, "status", string(d.decision.Status),
			"result", d.outcome.result(), "response_code", d.outcome.Code, "error", d.outcome.Error,
			"duration_ms", d.outcome.Duration().Milliseconds())
	}
}
