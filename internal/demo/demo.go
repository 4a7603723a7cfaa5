// Package demo is `relay demo`: a private throw-away Postgres, a small host app, subscribers of several kinds, and the
// relay between them.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/relay"
)

// Options say how the demo runs.
type Options struct {
	Out      io.Writer
	Terminal bool          // Out is a terminal: the figures are drawn in place.
	For      time.Duration // How long users sign up; 0: until ctx ends.
	Rate     int           // Sign-ups a second.
	Version  string
}

// settleFor is how long the end waits for what is still on its way.
const settleFor = 20 * time.Second

// ErrProof is returned where what was received is not what was committed.
var ErrProof = errors.New("what was received is not what was committed")

// Run runs the demo until Options.For has passed or ctx ends, prints the totals and the proof, and removes everything it
// made. hard ends it at once, without them.
func Run(ctx, hard context.Context, o Options) error {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(o.Out, format+"\n", args...) }
	say("Starting a private Postgres; it is removed at the end.")
	cluster, err := postgres.Start(ctx, postgres.Options{FsyncOff: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start a private Postgres: %w", err)
	}
	defer func() { _ = cluster.Close() }() // What is left is removed by the next run.

	db, err := prepare(ctx, cluster)
	if err != nil {
		return err
	}
	defer db.Close()
	subscribers, err := subscribeAll(ctx, db)
	if err != nil {
		return err
	}
	defer subscribers.close()

	stopRelay, err := startRelay(hard, cluster.URL(database), o.Version)
	if err != nil {
		return err
	}
	app := &hostApp{db: db, rate: o.Rate}
	say("Users sign up, %d a second: a row in users and an event in outbox.events, in one transaction. One in eight is rolled back.", o.Rate)
	say("Subscribers: crm answers 200, broken answers 500, flaky goes down and comes back (the demo retries after a second,")
	say("not after 6 s, 21 s, 86 s … as relay does by default).\n")

	live := newScreen(o, app, subscribers, db)
	intake := ctx
	if o.For > 0 {
		var cancel context.CancelFunc
		intake, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	appDone := make(chan error, 1)
	go func() { appDone <- app.run(intake) }()
	go subscribers.flap(intake)
	live.run(intake)
	if err := <-appDone; err != nil {
		return fmt.Errorf("the host app: %w", err)
	}

	subscribers.flaky.up()
	settled, cancel := context.WithTimeout(hard, settleFor)
	defer cancel()
	live.settle(settled)
	if err := stopRelay(); err != nil {
		return fmt.Errorf("run the relay: %w", err)
	}
	if hard.Err() != nil {
		return nil
	}
	return report(hard, o.Out, db, app, subscribers)
}

const database = "demo"

// prepare makes the host app's database.
func prepare(ctx context.Context, cluster *postgres.Cluster) (*pgxpool.Pool, error) {
	if err := cluster.CreateDatabase(ctx, database); err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	db, err := pgxpool.New(ctx, cluster.URL(database))
	if err != nil {
		return nil, fmt.Errorf("set up the demo: %w", err)
	}
	for _, sql := range []string{outboxrelay.Schema, "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL)"} {
		conn, err := db.Acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("set up the demo: %w", err)
		}
		_, err = conn.Conn().PgConn().Exec(ctx, sql).ReadAll()
		conn.Release()
		if err != nil {
			return nil, fmt.Errorf("set up the demo: %w", err)
		}
	}
	return db, nil
}

// startRelay runs the relay in this process; stop ends it in order.
func startRelay(ctx context.Context, url, version string) (stop func() error, err error) {
	cfg := config.Default()
	cfg.Database.URL = url
	cfg.Network.Allow = []string{"127.0.0.0/8"}
	cfg.Delivery.Retry.Base, cfg.Delivery.Retry.Unit = time.Second, 0
	cfg.HTTP.Listen = ""
	engine, err := relay.New(cfg, relay.Options{Version: version})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	stop = func() error { cancel(); return <-done }
	for {
		if ready, _ := engine.Ready(); ready {
			return stop, nil
		}
		select {
		case err := <-done:
			cancel()
			return nil, fmt.Errorf("run the relay: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
