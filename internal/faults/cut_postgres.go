package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/outboxrelay/relay/internal/faults/proxy"
)

var cutPostgres = &campaign{
	name: "cut-postgres",
	doc:  "the connections between relay and Postgres cut, stalled, and half open",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		p, err := r.proxyPostgres()
		if err != nil {
			return err
		}
		if _, err := r.start(ctx); err != nil {
			return err
		}
		r.writer.start(r.random, eventsPerSecond)
		faults, longest := r.count(7, 50), 90*time.Second
		if !r.long {
			longest = 3 * time.Second
		}
		n := 0
		for ; n < faults && r.more(ctx); n++ {
			if err := r.awaitLoad(ctx, 50+r.random.IntN(300)); err != nil {
				return err
			}
			if err := r.breakNetwork(ctx, p, n, faults, longest); err != nil {
				return err
			}
		}
		r.did(n, faults, "cut, stalled (up to %s) and left half open %d times", longest, n)
		return r.settle(ctx)
	},
}

// breakNetwork cuts the connections to Postgres, stalls them, or leaves them half open, in turn.
func (r *rig) breakNetwork(ctx context.Context, p *proxy.Proxy, n, of int, longest time.Duration) error {
	lasts := r.between(time.Second, longest)
	switch {
	case n%3 == 2 || n == of-1:
		p.LoseAll() // Nothing ends that: the relay must find out, and the server would after wal_sender_timeout, a minute.
		return r.recovered(ctx, time.Now(), recoverWithin)
	case n%3 == 0:
		p.Cut()
	default:
		p.Stall()
	}
	pause(ctx, lasts)
	p.Heal()
	return r.recovered(ctx, time.Now(), recoverWithin)
}

// proxyPostgres gives the relays to come a way to Postgres that can be broken.
func (r *rig) proxyPostgres() (*proxy.Proxy, error) {
	u, err := url.Parse(r.url)
	if err != nil {
		return nil, fmt.Errorf("put a proxy before Postgres: %w", err)
	}
	p, err := proxy.New(u.Host)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, p.Close)
	u.Host = p.Address()
	r.relayURL = u.String()
	return p, nil
}
