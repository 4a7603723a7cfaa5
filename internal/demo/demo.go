//go:build unix

// Package demo shows relay at work, with nothing to set up: a private throw-away Postgres, a host app that signs users
// up, three subscribers of which one is healthy, and the relay itself, all in one process. At the end it proves, event by
// event, that committed means delivered and rolled back means never seen.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/postgres"
)

// ErrNotProven says that what the demo is to show did not hold. What did not is in its output.
var ErrNotProven = errors.New("the proof does not hold")

// Options say how the demo runs.
type Options struct {
	Out     io.Writer
	Color   bool
	Lasting time.Duration // How long the host app works; 0: until the context of Run ends.
	Rate    int           // Transactions a second.

	// Size gives the width and height of the terminal that Out is, where the demo draws in place. Nil: Out is no
	// terminal, and gets a line every two seconds.
	Size func() (width, height int)

	// Relay relays with these settings until ctx ends. That is the program under show; it serves /readyz on http.listen.
	Relay func(ctx context.Context, cfg *config.Config, log *slog.Logger) error
}

// Demo is one demonstration. It runs once.
type Demo struct {
	o    Options
	page *page

	starting sync.Mutex // Held while Postgres is being started.
	cluster  *postgres.Cluster
}

// New makes a demo that has started nothing yet.
func New(o Options) *Demo {
	return &Demo{o: o, page: &page{out: o.Out, color: o.Color, size: o.Size}}
}

// settleWithin is how long deliveries to the healthy subscriber may take once the host app has stopped: far longer than
// they do, for a machine that is busy with other things.
const settleWithin = 30 * time.Second

// Run runs the demo and returns nil if the proof holds; ErrNotProven if it does not. When ctx ends, the host app stops
// and the demo comes to its end as planned, within seconds; Abandon ends it at once. Nothing is left behind: Postgres is
// stopped and its files are removed when Run returns.
func (d *Demo) Run(ctx context.Context) (err error) {
	defer d.page.showCursor()
	cluster, err := d.startPostgres(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := cluster.Close(); cerr != nil {
			err = errors.Join(err, cerr)
			return
		}
		d.page.print(line{faint("Postgres is stopped and its files are gone: nothing is left behind.")})
	}()

	// What ctx ends is the show; it takes the rest a moment to come to its end.
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	s, err := d.set(working, cluster)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.startRelay(working, stop, d.o.Relay); err != nil {
		return s.logged(err)
	}
	if err := d.perform(ctx, working, s); err != nil {
		return s.logged(reason(working, err))
	}
	return nil
}

// perform is the show itself: the host app at work, the end of it, and the proof.
func (d *Demo) perform(ctx, working context.Context, s *stage) error {
	s.begun = time.Now()
	d.page.begin(s)
	onStage, cut := context.WithCancel(ctx)
	defer cut()
	if d.o.Lasting > 0 {
		onStage, cut = context.WithTimeout(onStage, d.o.Lasting)
		defer cut()
	}
	played := make(chan error, 1)
	go func() { played <- s.host.run(working, onStage.Done(), d.o.Rate) }()
	mended := make(chan struct{})
	go func() {
		defer close(mended)
		s.mailer.breakDown(onStage, s.outage)
	}()

	err := d.watch(working, s, "", func() bool { return onStage.Err() != nil || len(played) > 0 })
	cut()
	<-mended
	if err = errors.Join(err, <-played); err != nil {
		return err
	}
	if err := d.settle(working, s); err != nil {
		return err
	}
	return d.conclude(working, s)
}

// settle waits until all that was committed has come to the healthy subscriber, and a little for the others.
func (d *Demo) settle(ctx context.Context, s *stage) error {
	const patience = 6 * time.Second // For the retries to a subscriber that has just come back.
	const note = "finishing: what is under way is delivered"
	begun := time.Now()
	return d.watch(ctx, s, note, func() bool {
		waited := time.Since(begun)
		return waited > settleWithin || s.healthySettled() && (s.seen.outstanding == 0 || waited > patience)
	})
}

// watch shows what happens until done says so.
func (d *Demo) watch(ctx context.Context, s *stage, note string, done func() bool) error {
	beat := time.NewTicker(200 * time.Millisecond)
	defer beat.Stop()
	for {
		if err := s.look(ctx); err != nil {
			return err
		}
		over := done()
		d.page.show(s, note, over)
		if over {
			return nil
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// startPostgres says what it does: it can take a while where server binaries have to be fetched.
func (d *Demo) startPostgres(ctx context.Context) (*postgres.Cluster, error) {
	d.starting.Lock()
	defer d.starting.Unlock()
	d.page.status("Starting a private Postgres …")
	if _, err := postgres.Find(ctx); errors.Is(err, postgres.ErrNotFound) {
		d.page.status("There is no PostgreSQL on this machine: fetching the server, once, some 10 MB …")
	}
	cluster, err := postgres.Start(ctx, postgres.Options{FsyncOff: true})
	if err != nil {
		return nil, fmt.Errorf("start a private Postgres: %w", err)
	}
	d.cluster = cluster
	return cluster, nil
}

// Abandon ends all that Run has started outside this process and gives the terminal back, for a process that is about to
// exit while Run is still running. It takes a moment and may be called by any goroutine, once the context of Run has ended.
func (d *Demo) Abandon() {
	d.page.close()
	d.starting.Lock()
	defer d.starting.Unlock()
	if d.cluster != nil {
		_ = d.cluster.Close()
	}
}

// reason prefers what ended ctx to the error that this led to.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// connect opens a pool on the demo's database.
func connect(ctx context.Context, cluster *postgres.Cluster) (*pgxpool.Pool, error) {
	if err := cluster.CreateDatabase(ctx, databaseName); err != nil {
		return nil, err
	}
	db, err := pgxpool.New(ctx, cluster.URL(databaseName))
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return db, nil
}
