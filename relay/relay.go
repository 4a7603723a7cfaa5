package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
)

// startPatience is how long Run and Setup try to reach a database that is not there yet, as when both start together.
const startPatience = 30 * time.Second

// Options are what a relay needs beside its configuration. The zero value works.
type Options struct {
	Logger  *slog.Logger // Default: discards.
	Version string       // For the user agent. Default: dev.

	// Registry receives the metrics. Default: one of its own, which nobody reads.
	Registry prometheus.Registerer
}

// Relay delivers what is committed to the outbox. Make it with New; it runs once.
type Relay struct {
	cfg     *config.Config
	log     *slog.Logger
	metrics *metrics
	policy  Policy
	sender  *Sender
	body    func(eventRow) []byte

	db       *pgxpool.Pool
	prepares bool                        // Its statements may be prepared.
	database string                      // Its name.
	home     atomic.Pointer[store.Place] // Which database it is; nil until that is settled.

	tracker  *tracker
	dispatch *dispatcher
	recorder *recorder
	claimer  *claimer
	observer *observer
	health   *health
	pulse    pulse

	work       context.Context // Of requests: outlives intake, so that what is in flight can end.
	persisted  atomic.Uint64   // The position that stands in relay_state.
	endSession atomic.Pointer[context.CancelCauseFunc]
	letGo      atomic.Pointer[context.CancelFunc] // Ends the wait of a session that has ended.
	everLed    bool
	yield      yielding
	watch      senderWatch // Of the relay that has the slot.

	changed chan struct{} // Tells the observer that leading or standby changed.

	mu      sync.Mutex
	leading bool
	standby bool
	reason  string // Why not ready.
}

// New checks the configuration and returns a relay that has not touched the database yet. Errors are *ConfigError.
func New(cfg *config.Config, o Options) (*Relay, error) {
	if cfg.Database.URL == "" {
		return nil, &ConfigError{Fault: "database.url is missing", Mend: "set it in relay.yaml, or RELAY_DATABASE_URL"}
	}
	policy, err := NewPolicy(cfg.Delivery)
	if err != nil {
		return nil, &ConfigError{Fault: err.Error(), Mend: "see delivery in relay.yaml"}
	}
	guard, err := NewGuard(cfg.Network)
	if err != nil {
		return nil, &ConfigError{Fault: err.Error(), Mend: "see network in relay.yaml"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	connections := connectionsWithin(openFilesLimit())
	r := &Relay{
		cfg: cfg, log: o.Logger, policy: policy, tracker: &tracker{}, reason: "starting", changed: make(chan struct{}, 1),
		sender: NewSender(SenderOptions{
			Timeout: cfg.Delivery.Timeout, Guard: guard, UserAgent: "relay/" + o.Version,
			RequireHTTPS: cfg.Network.RequireHTTPS, MaxIdlePerHost: cfg.Delivery.ConcurrencyPerSubscription,
			MaxConnections: connections,
		}),
		body: bodyOf(cfg.Delivery.Body),
	}
	r.metrics = newMetrics(o.Registry, r)
	r.health = newHealth(o.Logger)
	r.observer = newObserver(r, o.Version)
	r.dispatch = &dispatcher{
		limit: min(cfg.Delivery.Concurrency, connections/2), laneLimit: cfg.Delivery.ConcurrencyPerSubscription, connections: connections,
		newClient: r.sender.NewClient, attempt: r.attempt, record: r.recordAttempt, spill: r.writeDownSlow,
		kick: func() { r.claimer.wakeUp() },
		room: make(chan struct{}, 1), lanes: make(map[uuid.UUID]*lane),
	}
	return r, nil
}

// bodyOf returns what makes a request's body from an event.
func bodyOf(kind config.Body) func(eventRow) []byte {
	if kind == config.BodyPayload {
		return func(row eventRow) []byte { return append([]byte(nil), row.payload...) }
	}
	return func(row eventRow) []byte {
		const frame = 160 // Names, id and timestamp.
		dst := make([]byte, 0, frame+len(row.typ)+len(row.payload))
		return appendEnvelope(dst, row.id.String(), row.typ, row.createdAt, row.payload)
	}
}

// Run sets up what is missing and relays until ctx ends; then it lets what is in flight end, at most delivery.timeout
// long, records it, confirms the slot's position and returns nil.
//
// A database that is not there is waited for: at the start for half a minute, later for as long as it takes. What waiting
// can't mend (a wrong password, a missing right, wal_level) is returned as an error that names the mend.
func (r *Relay) Run(ctx context.Context) error {
	r.warnOfFewFiles()
	if err := r.open(ctx); err != nil {
		return ifRunning(ctx, err)
	}
	defer r.db.Close()
	if err := r.retryStart(ctx, r.setUpSchema); err != nil {
		return ifRunning(ctx, err)
	}
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stopWatching()
	r.observer.db = r.db
	watch.Go(func() { r.observer.run(watching) })
	if err := r.awaitHome(ctx); err != nil {
		return ifRunning(ctx, err)
	}
	if err := r.retryStart(ctx, r.declare); err != nil {
		return ifRunning(ctx, err)
	}

	// Three lifetimes: intake ends with ctx, requests when they are done, recording last.
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	recording, endRecording := context.WithCancel(context.WithoutCancel(ctx))
	defer endRecording()
	r.work = work
	r.recorder = newRecorder(r.db, r.log, r.metrics, r.cfg.Delivery.Timeout)
	if r.prepares {
		r.recorder.save = store.Prepared(r.db)
	}
	r.recorder.enough = min(recordBatch, r.dispatch.limit/2) // What is not written keeps others from being sent.
	r.recorder.spilled, r.recorder.failing, r.recorder.saved = r.wroteDown, r.databaseFails, r.dispatch.saved
	r.claimer = &claimer{
		db: r.db, log: r.log, dispatch: r.dispatch, record: r.recorder, metrics: r.metrics,
		timeout: r.cfg.Delivery.Timeout, leading: r.leads, envelope: r.body, wake: make(chan struct{}, 1),
	}
	sweeper := &janitor{db: r.db, log: r.log, retention: r.cfg.Retention, leading: r.confirmed}

	var background sync.WaitGroup
	background.Go(func() { r.recorder.run(recording) })
	background.Go(func() { r.dispatch.watch(recording) })
	background.Go(func() { r.pulse.run(recording) })

	intake, stopIntake := errgroup.WithContext(ctx)
	intake.Go(func() error { return r.tail(stopIntake) })
	intake.Go(func() error { r.claimer.run(stopIntake); return nil })
	intake.Go(func() error { sweeper.run(stopIntake); return nil })
	err := intake.Wait()

	r.setReason("stopping")
	failpoint.Hit("stop/after-intake")
	r.drain(endWork)
	endRecording()
	background.Wait()
	return err
}

// Setup sets up what is missing: schema, publication, slot, and the subscriptions that relay.yaml declares. It may be run
// at any time, beside running relays too.
func (r *Relay) Setup(ctx context.Context) (SetupReport, error) {
	var report SetupReport
	if err := r.open(ctx); err != nil {
		return report, err
	}
	defer r.db.Close()
	r.claimer = &claimer{wake: make(chan struct{}, 1)}
	err := r.retryStart(ctx, func(ctx context.Context) error {
		var err error
		report, err = r.setUpAll(ctx)
		if takesNoWrites(err) {
			return mend(err) // Run gives a standby time to be promoted; who sets up wants to know at once.
		}
		return err
	})
	return report, err
}

// Ready says whether events are being relayed, or this relay stands by, and why not.
func (r *Relay) Ready() (bool, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.leading && r.recorder.waits():
		return false, outcomesWait
	case r.leading:
		return true, "relaying"
	case r.standby:
		return true, "standing by: another relay has the slot"
	}
	return false, r.reason
}

// Test sends a sample payload of an event type to a target, as a delivery would be sent, and returns what became of it.
// Nothing is recorded. It blocks for delivery.timeout at most and needs no running relay.
func (r *Relay) Test(ctx context.Context, target *Target, eventType string, sample []byte) Outcome {
	row := eventRow{id: uuid.Must(uuid.NewV7()), typ: eventType, payload: sample, createdAt: time.Now().UTC()}
	client := r.sender.NewClient()
	defer client.CloseIdle()
	return client.Send(ctx, target, row.id.String(), r.body(row))
}

// Accepts says whether an outcome counts as accepted under delivery.accept.
func (r *Relay) Accepts(o Outcome) bool { return o.Answered() && r.policy.Accept.Contains(o.Code) }

// attempt sends a delivery once.
func (r *Relay) attempt(client *Client, d *delivery) {
	if d.claimed && time.Until(d.lease.until) < r.timeoutOf(d.sub)+recordSlack {
		d.outcome = Outcome{Aborted: true} // It waited too long: somebody else may take it up before this ends.
		return
	}
	if !d.claimed && !r.pulse.alive(time.Now()) {
		d.outcome = Outcome{Aborted: true} // The stream ends; whoever leads now has it.
		return
	}
	failpoint.Hit("sender/before-send")
	d.outcome = client.SendTraced(r.work, d.sub.targetAt(time.Now()), d.event.webhookID, d.event.trace, d.event.body)
	failpoint.Hit("sender/after-answer")
	if !d.outcome.Aborted {
		d.decision = r.policy.Decide(d.outcome, d.attempts+1)
		r.attempted(d)
	}
}

// timeoutOf is how long an attempt for a subscription may take.
func (r *Relay) timeoutOf(s *subscription) time.Duration {
	return cmp.Or(s.limits.timeout, r.cfg.Delivery.Timeout)
}

// recordAttempt hands an outcome to the recorder. An attempt that was broken off at the end of a stop has none: whoever
// takes the delivery up again makes it anew.
func (r *Relay) recordAttempt(d *delivery) {
	if d.outcome.Aborted {
		if d.claimed {
			r.claimer.giveBack(d)
		}
		return
	}
	r.recorder.putOutcome(d)
}

// writeDownSlow has a delivery written down as pending. The dispatcher calls it under its lock.
func (r *Relay) writeDownSlow(d *delivery, kind spillKind) {
	failpoint.Hit("spill/before-record")
	r.metrics.spilled.Inc()
	if kind == spillUnsent {
		r.recorder.put(entry{kind: entryUnsent, d: d})
		return
	}
	d.lease = lease{token: uuid.New(), until: d.started.Add(r.timeoutOf(d.sub) + leaseSlack)}
	r.recorder.put(entry{kind: entrySpill, d: d})
}

// wroteDown notes that a pending delivery stands in the database.
func (r *Relay) wroteDown(subscription uuid.UUID, dueNow bool) {
	failpoint.Hit("spill/after-record")
	if !dueNow {
		return
	}
	r.dispatch.setBacklog(subscription)
	if r.dispatch.mayTake(subscription) { // Otherwise its lane wakes the claimer, once it has room.
		r.claimer.wakeUp()
	}
}

// databaseFails lets go of the slot: with outcomes that can't be recorded nothing would ever be confirmed, and a server
// that is going down would wait for us.
func (r *Relay) databaseFails(err error) {
	if end := r.endSession.Load(); end != nil {
		(*end)(fmt.Errorf("the database takes no writes: %w", err))
	}
	if letGo := r.letGo.Load(); letGo != nil && hasCode(err, "57P03") { // It is going down, and waits for our connection.
		(*letGo)()
	}
}

// confirmed returns the last position persisted, and whether this relay leads.
func (r *Relay) confirmed() (pglogrepl.LSN, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return pglogrepl.LSN(r.persisted.Load()), r.leading
}

func (r *Relay) leads() bool {
	_, leads := r.confirmed()
	return leads
}

func (r *Relay) setLeading(leading bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.everLed = r.everLed || leading
	r.become(leading, r.standby && !leading)
}

func (r *Relay) setStandby() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.standby {
		r.log.Info("standing by: another relay has the slot", "slot", r.cfg.Replication.Slot)
	}
	r.become(r.leading, true)
}

func (r *Relay) setReason(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
	r.become(false, false)
}

// become changes what this relay is, and has others told of it at once. The caller holds mu.
func (r *Relay) become(leading, standby bool) {
	if leading == r.leading && standby == r.standby {
		return
	}
	r.leading, r.standby = leading, standby
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// ifRunning hides the error of a start that was called off.
func ifRunning(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// open connects to the database and opens the pool.
func (r *Relay) open(ctx context.Context) error {
	cfg, err := pgxpool.ParseConfig(r.cfg.Database.URL)
	if err != nil {
		return &ConfigError{Fault: "database.url cannot be read: " + oneLine(err), Mend: "write postgres://user:password@host:5432/database"}
	}
	boundConnection(&cfg.ConnConfig.Config)
	store.SettleConn(cfg.ConnConfig)
	return r.retryStart(ctx, func(ctx context.Context) error {
		pooled, err := r.lookAtServer(ctx, cfg.ConnConfig)
		if err != nil {
			return err
		}
		if cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
			// Of a prepared statement Postgres keeps a plan made when the tables were small, and reads them whole by it when they
			// have grown, until they are analyzed. A transaction pooler forgets prepared statements besides.
			cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
			r.prepares = !pooled
		}
		cfg.MaxConns = max(cfg.MaxConns, poolSize)
		cfg.AfterConnect = r.stayHome
		cfg.PingTimeout = pingTimeout
		if r.db, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
			return fmt.Errorf("open the database: %w", err)
		}
		return nil
	})
}

// poolSize is one connection for each of recorder, claimer, janitor, checkpoints, look-ahead, look-ups, heartbeat, count of what
// waits and the watch over the publication.
const poolSize = 9

// pingTimeout bounds the look at a connection that was idle, before it is used: one that leads nowhere is replaced then.
const pingTimeout = 5 * time.Second

// lookAtServer says whether a pooler stands between us and the server, and notes the database's name.
func (r *Relay) lookAtServer(ctx context.Context, cfg *pgx.ConnConfig) (pooled bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if errors.Is(err, store.ErrSimpleProtocol) {
		return false, &ConfigError{
			Fault: store.ErrSimpleProtocol.Error(), Mend: fmt.Sprintf(store.SimpleProtocolMend, "database.url"), cause: err,
		}
	}
	if err != nil {
		return false, fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // Nothing is lost with it.
	session, err := store.LookAtSession(ctx, conn.PgConn())
	if err != nil {
		return false, fmt.Errorf("connect to the database: %w", err)
	}
	r.database = session.Database
	if session.ASCII {
		r.log.Warn("the database's encoding is SQL_ASCII: text in it may be in any encoding, and is sent and recorded as it is",
			"database", r.database)
	}
	return session.Pooled, nil
}

// retryStart tries to set up until it is done, can't be done, or patience ends. It logs a fault once, not at each try.
func (r *Relay) retryStart(ctx context.Context, do func(context.Context) error) error {
	deadline, said := time.Now().Add(startPatience), ""
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || !passing(err) || time.Now().After(deadline) {
			return mend(err)
		}
		what := explain(err)
		r.setReason("cannot set up: " + what)
		if what != said {
			r.log.Warn("cannot set up yet; trying again each second", "for", startPatience.String(), "error", what)
			said = what
		}
		sleep(ctx, time.Second)
	}
}

// setUpSchema brings the schema up to date, and notes which database this is where none was noted.
func (r *Relay) setUpSchema(ctx context.Context) error {
	current, err := store.SchemaCurrent(ctx, r.db)
	if err != nil {
		return err
	}
	if !current {
		r.log.Info("setting up schema outbox")
		if err := r.applySchema(ctx); err != nil {
			return err
		}
	}
	return store.SettleHome(ctx, r.db)
}

// applySchema runs schema.sql, unless a later version of the program has.
func (r *Relay) applySchema(ctx context.Context) error {
	if later, err := store.SchemaLater(ctx, r.db); err != nil || later {
		return err
	}
	conn, err := r.db.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("apply schema: %w", err)
	}
	defer conn.Release()
	return store.ApplySchema(ctx, conn.Conn())
}
