package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/postgres"
)

// server is what PostgreSQL comes with, where a private cluster is otherwise smaller; fsync is on.
var server = map[string]string{"shared_buffers": "128MB", "max_connections": "100", "max_wal_senders": "10", "max_replication_slots": "10"}

// relaySettings are those of every relay here: the defaults, but that loopback may be reached, that a receiver that hangs is
// given up after 3 s, and that retries come soon, so that a campaign sees them.
var relaySettings = []string{
	"RELAY_NETWORK_ALLOW=127.0.0.0/8", "RELAY_DELIVERY_TIMEOUT=3s", "RELAY_DELIVERY_RETRY_BASE=300ms", "RELAY_DELIVERY_RETRY_UNIT=0s",
}

// rig is what one campaign works with: a Postgres, relays, a host app that writes, receivers, and the score.
type rig struct {
	name     string
	seed     uint64
	random   *rand.Rand
	long     bool
	points   string
	until    time.Time // When to begin no further fault; zero: no limit.
	dir      string    // The journals, and the relays' log.
	binaries binaries

	cluster   *postgres.Cluster
	url       string // Of the database, without detours.
	relayURL  string // What the relay is given: url, or the way through a proxy.
	receivers []*receiver
	ids       map[*receiver]string // Of their subscriptions.
	writer    *writer
	settings  []string // Of this campaign's relays, over relaySettings.
	processes []*relayProcess
	running   *relayProcess // For faults that differ with a relay that runs.
	closers   []func() error

	afterCluster []func() error // As closers, once the cluster is gone.

	mu   sync.Mutex
	conn *pgx.Conn // For exec and query; nil where it is to be made.

	result *result
	untold untold // What the kills so far left.
}

// newRig makes a database with the relay's schema and slot, the standard receivers, and a writer that does not write yet.
func newRig(c *campaign, o *options, b binaries) (*rig, error) {
	dir := filepath.Join(o.dir, c.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	name := []byte(c.name)
	r := &rig{
		name: c.name, seed: o.seed, long: o.long, points: o.points, dir: dir, binaries: b, ids: make(map[*receiver]string), untold: make(untold),
		random: rand.New(rand.NewPCG(o.seed, uint64(len(name))<<32|uint64(name[0])<<16|uint64(name[len(name)-1]))),
		result: &result{Campaign: c.name, Seed: o.seed},
	}
	if o.bound > 0 {
		r.until = time.Now().Add(o.bound)
	}
	return r, nil
}

// setUp starts Postgres with these settings over the usual ones, and adds what every campaign has.
func (r *rig) setUp(ctx context.Context, settings ...string) error {
	return r.setUpIn(ctx, "", settings...)
}

// setUpIn is setUp with the data in a folder of the caller's.
func (r *rig) setUpIn(ctx context.Context, parent string, settings ...string) error {
	if err := r.prepareIn(ctx, parent, settings...); err != nil {
		return err
	}
	for _, s := range []struct {
		name     string
		kind     behaviour
		patterns []string
	}{{"all", steady, []string{"*"}}, {"orders", steady, []string{"order.*"}}, {"flaky", flaky, []string{"*"}}} {
		if _, err := r.subscribe(ctx, s.name, s.kind, s.patterns...); err != nil {
			return err
		}
	}
	return nil
}

// prepare is setUp without receivers.
func (r *rig) prepare(ctx context.Context, settings ...string) error {
	return r.prepareIn(ctx, "", settings...)
}

func (r *rig) prepareIn(ctx context.Context, parent string, settings ...string) (err error) {
	if r.cluster == nil {
		if err := r.startPostgres(ctx, parent, settings...); err != nil {
			return err
		}
	}
	if err := r.cluster.CreateDatabase(ctx, "app"); err != nil {
		return err
	}
	r.url = r.cluster.URL("app")
	r.relayURL = r.url
	if err := r.init(ctx); err != nil {
		return err
	}
	if err := r.exec(ctx, appTable); err != nil {
		return err
	}
	r.writer, err = newWriter(r.dir, r.url)
	return err
}

// startPostgres starts the server without anything in it. Settings go over the usual ones.
func (r *rig) startPostgres(ctx context.Context, parent string, settings ...string) (err error) {
	all := maps.Clone(server)
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		all[name] = value
	}
	r.cluster, err = postgres.Start(ctx, postgres.Options{Settings: all, Dir: parent})
	return err
}

// init runs `relay init`.
func (r *rig) init(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, r.binaries.relay, "init")
	cmd.Dir, cmd.Env = r.dir, r.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("relay init: %w\n%s", err, out)
	}
	return nil
}

func (r *rig) environment(settings ...string) []string {
	env := append(os.Environ(), "RELAY_DATABASE_URL="+r.relayURL)
	return append(append(append(env, relaySettings...), r.settings...), settings...)
}

// subscribe starts a receiver and subscribes it.
func (r *rig) subscribe(ctx context.Context, name string, kind behaviour, patterns ...string) (*receiver, error) {
	rec, err := startReceiver(r.dir, name, kind, patterns...)
	if err != nil {
		return nil, err
	}
	r.receivers = append(r.receivers, rec)
	return rec, r.addSubscription(ctx, rec, rec.url())
}

func (r *rig) addSubscription(ctx context.Context, rec *receiver, url string) error {
	var id, secret string
	err := r.query(ctx, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ($1, $2, $3) RETURNING id::text, secret`,
		[]any{rec.name, url, rec.patterns}, &id, &secret)
	if err != nil {
		return fmt.Errorf("subscribe %s: %w", rec.name, err)
	}
	r.ids[rec] = id
	return rec.setSecret(secret)
}

// all is the receiver that gets everything and answers at once.
func (r *rig) all() *receiver { return r.receivers[0] }

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// count is how many faults a campaign makes: few for the short profile, as many as the test plan says for the long one.
func (r *rig) count(short, long int) int {
	if r.long {
		return long
	}
	return short
}

// more says whether there is time for a further fault.
func (r *rig) more(ctx context.Context) bool {
	return ctx.Err() == nil && (r.until.IsZero() || time.Now().Before(r.until))
}

// between returns a random duration.
func (r *rig) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.random.Int64N(int64(most-least)+1))
}

// recovered waits until an event that is committed from now on is delivered, and notes how long after a fault's end that is.
func (r *rig) recovered(ctx context.Context, ended time.Time, within time.Duration) error {
	f := newFact(r.random, "invoice.line.added")
	err := await(ctx, time.Minute, "an event is committed after the fault", func() (bool, error) {
		_ = r.with(ctx, func(conn *pgx.Conn) error { // Not there yet, where this is an error.
			r.writer.write(conn, []fact{f}, nil, true)
			return conn.Ping(ctx)
		})
		if _, committed := r.writer.committedType(f.id); committed {
			return true, nil
		}
		f = newFact(r.random, f.typ)
		return false, nil
	})
	if err != nil {
		return err
	}
	if err := await(ctx, 2*time.Minute, "an event that was committed after the fault is delivered", func() (bool, error) {
		return r.all().got(f.id), nil
	}); err != nil {
		return err
	}
	took := time.Since(ended)
	r.result.Recovery = max(r.result.Recovery, took)
	if took > within {
		r.problem("relaying again %s after the fault's end, %s are allowed", round(took), within)
	}
	return nil
}

// awaitLoad waits until so many more requests have come.
func (r *rig) awaitLoad(ctx context.Context, requests int) error {
	_, before := r.all().counts()
	return await(ctx, time.Minute, "load", func() (bool, error) {
		_, now := r.all().counts()
		return now >= before+requests, nil
	})
}

func (r *rig) problem(format string, args ...any) { r.result.problem(format, args...) }

// close ends and removes everything but the evidence.
func (r *rig) close() error {
	var errs []error
	if r.writer != nil {
		r.writer.stop()
		errs = append(errs, r.writer.closeJournal())
	}
	for _, p := range r.processes {
		p.kill()
	}
	for _, rec := range r.receivers {
		errs = append(errs, rec.close())
	}
	for i := len(r.closers) - 1; i >= 0; i-- {
		errs = append(errs, r.closers[i]())
	}
	r.disconnect()
	if r.cluster != nil {
		errs = append(errs, r.cluster.Close())
	}
	for _, f := range r.afterCluster {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
