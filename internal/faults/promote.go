package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/outboxrelay/relay/internal/postgres"
)

var promote = &campaign{
	name: "promote",
	doc:  "kill -9 of the primary under load and promotion of an asynchronous standby that does not have the slot",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		r.result.replaced = true
		rounds, n := r.count(1, 10), 0
		for ; n < rounds && r.more(ctx); n++ {
			for _, p := range r.processes { // Of the round before, with addresses of the past.
				if _, err := p.stop(); err != nil && !p.ended() {
					return err
				}
			}
			if err := r.failOver(ctx); err != nil {
				return err
			}
		}
		r.did(n, rounds, "killed the primary and promoted its standby %d times under %d events/s", n, eventsPerSecond)
		if err := r.settle(ctx); err != nil {
			return err
		}
		r.result.note("%d deliveries were of commits that had not reached the standby: asynchronous replication loses those, not the relay", r.result.Orphans)
		return nil
	},
}

// failOver gives the primary a standby, and lets that take its place under load.
func (r *rig) failOver(ctx context.Context) error {
	primary := r.cluster
	standby, err := primary.Standby(ctx, postgres.Options{})
	if err != nil {
		return err
	}
	r.closers = append(r.closers, standby.Close)
	both := fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/app?sslmode=disable&target_session_attrs=read-write",
		primary.Port(), standby.Port())
	r.relayURL, r.writer.url = both, both
	relay, err := r.start(ctx)
	if err != nil {
		return err
	}
	r.writer.start(r.random, eventsPerSecond)
	if err := r.awaitLoad(ctx, 500+r.random.IntN(500)); err != nil {
		return err
	}
	if err := r.accounted(ctx); err != nil {
		return err
	}
	// The relay is held still until the bound is taken: what the old primary had recorded and the standby has not comes again.
	if err := relay.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := primary.Kill(); err != nil {
		return err
	}
	if err := standby.Promote(ctx); err != nil {
		return err
	}
	ended := time.Now()
	r.cluster, r.url = standby, standby.URL("app")
	r.disconnect()
	_, err = r.addUntold(ctx)
	_ = relay.cmd.Process.Signal(syscall.SIGCONT)
	if err != nil {
		return err
	}
	if err := r.recovered(ctx, ended, recoverWithin); err != nil {
		return err
	}
	r.writer.stop()
	return nil
}
