package main

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

var clone = &campaign{
	name: "clone",
	doc:  "a relay on a copy of the database sends nothing until it is adopted",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		relay, err := r.start(ctx)
		if err != nil {
			return err
		}
		r.writer.start(r.random, eventsPerSecond)
		if err := r.awaitLoad(ctx, 500); err != nil {
			return err
		}
		r.writer.stop()
		if _, err := relay.stop(); err != nil {
			return err
		}
		// Something is left to be sent: a copy that did not know better would send it.
		conn, err := r.connect(ctx)
		if err != nil {
			return err
		}
		r.writer.write(conn, []fact{newFact(r.random, "order.paid")}, nil, true)
		_ = conn.Close(ctx)
		before := r.requests()
		if err := r.onACopy(ctx); err != nil {
			return err
		}
		if sent := r.requests() - before; sent != 0 {
			r.problem("the copy's relay sent %d requests", sent)
		}
		next, err := r.launch(r.binaries.relay)
		if err != nil {
			return err
		}
		if err := r.recovered(ctx, next.began, recoverWithin); err != nil {
			return err
		}
		r.did(1, 1, "a relay ran for 6 s on a copy of the database with events unsent; then `relay adopt --cancel-waiting --disable-subscriptions` and 3 s more")
		return r.settle(ctx)
	},
}

// onACopy copies the database and runs a relay on the copy: first as it is, then adopted as for staging.
func (r *rig) onACopy(ctx context.Context) error {
	r.disconnect() // A template must not be in use.
	conn, err := pgx.Connect(ctx, r.cluster.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE copied TEMPLATE app"); err != nil {
		return err
	}
	settings := []string{"RELAY_DATABASE_URL=" + r.cluster.URL("copied"), "RELAY_REPLICATION_SLOT=relay_copied"}
	p, err := r.launch(r.binaries.relay, settings...)
	if err != nil {
		return err
	}
	if err := await(ctx, 20*time.Second, "the copy's relay says that it is paused", func() (bool, error) {
		status, body := p.readiness(ctx)
		return status == http.StatusServiceUnavailable && strings.Contains(body, "relay adopt"), nil
	}); err != nil {
		return err
	}
	pause(ctx, 6*time.Second) // In which it must do nothing.
	cmd := exec.CommandContext(ctx, r.binaries.relay, "adopt", "--yes", "--cancel-waiting", "--disable-subscriptions")
	cmd.Dir, cmd.Env = r.dir, r.environment(settings...)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.problem("relay adopt: %v: %s", err, out)
	}
	if err := p.awaitReady(ctx); err != nil {
		return err
	}
	pause(ctx, 3*time.Second) // As before.
	_, err = p.stop()
	return err
}

// requests counts those that have come to all receivers.
func (r *rig) requests() int {
	n := 0
	for _, rec := range r.receivers {
		_, requests := rec.counts()
		n += requests
	}
	return n
}
