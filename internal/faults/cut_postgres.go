package main

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

const (
	// senderTimeout is wal_sender_timeout where a campaign breaks connections: how long Postgres keeps the slot for a relay
	// that it does not hear. 60 s is PostgreSQL's default.
	senderTimeout = 10 * time.Second
	// deafFor is after how long a relay gives up a connection on which it hears nothing (relay/silence.go).
	deafFor = max(30*time.Second, senderTimeout/2+10*time.Second)
)

var cutPostgres = &campaign{
	name: "cut-postgres",
	doc:  "the connections between relay and Postgres cut, stalled, and half open",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx, "wal_sender_timeout="+senderTimeout.String()); err != nil {
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
		r.did(n, faults, "cut, stalled (up to %s) and left half open %d times, wal_sender_timeout %s", longest, n, senderTimeout)
		return r.settle(ctx)
	},
}

// breakNetwork cuts or stalls the connection to Postgres; each tenth time, and the last, it leaves it half open.
func (r *rig) breakNetwork(ctx context.Context, p *proxy, n, of int, longest time.Duration) error {
	lasts, within := r.between(time.Second, longest), recoverWithin
	switch {
	case n%10 == 9 || n == of-1:
		p.loseAll() // Nothing ends that: both sides must find out.
		return r.recovered(ctx, time.Now(), max(deafFor, senderTimeout)+recoverWithin)
	case n%2 == 0:
		p.cut()
	default:
		p.stall()
		within += senderTimeout
	}
	pause(ctx, lasts)
	p.heal()
	return r.recovered(ctx, time.Now(), within)
}

// proxyPostgres gives the relays to come a way to Postgres that can be broken.
func (r *rig) proxyPostgres() (*proxy, error) {
	u, err := url.Parse(r.url)
	if err != nil {
		return nil, fmt.Errorf("put a proxy before Postgres: %w", err)
	}
	p, err := newProxy(u.Host)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, p.close)
	u.Host = p.address()
	r.relayURL = u.String()
	return p, nil
}
