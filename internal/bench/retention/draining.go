package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/relay"
)

const (
	backlog     = 20_000 // Events.
	drainWithin = 2 * time.Minute
)

// draining measures the relay itself, in this process: how fast it delivers a backlog here and, before and after, on empty tables.
func (t *trial) draining(ctx context.Context) error {
	empty, err := t.open(ctx, "nothing")
	if err != nil {
		return err
	}
	if err := empty.run(ctx, outboxrelay.Schema); err != nil {
		return err
	}
	var rates []float64
	for _, db := range []*database{empty, empty, t.db, empty} { // the first warms up
		rate, err := db.drain(ctx)
		if err != nil {
			return fmt.Errorf("deliver a backlog: %w", err)
		}
		rates = append(rates, rate)
	}
	t.add("deliveries by the relay, from a backlog", "%s/s", thousands(int64(rates[2])))
	t.add("the relay ÷ on empty tables", "%.2f", 2*rates[2]/(rates[1]+rates[3]))
	return t.drop(ctx, empty, "nothing")
}

// drain starts a relay on a backlog and returns deliveries a second, from the first request to the last.
func (db *database) drain(ctx context.Context) (rate float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainWithin, fmt.Errorf("not delivered within %s", drainWithin))
	defer cancel()
	subscriber, err := listen()
	if err != nil {
		return 0, err
	}
	defer subscriber.server.Close()
	cfg := config.Default()
	cfg.Database.URL = db.url
	cfg.Network.Allow = []string{"127.0.0.0/8"}
	cfg.Retention = 0
	r, err := relay.New(cfg, relay.Options{})
	if err != nil {
		return 0, err
	}
	if _, err := db.pool.Exec(ctx, `UPDATE outbox.subscriptions SET active = false`); err != nil {
		return 0, err
	}
	if _, err := db.pool.Exec(ctx, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ($1, '{*}')`, subscriber.url); err != nil {
		return 0, err
	}
	if _, err := r.Setup(ctx); err != nil {
		return 0, err
	}
	if _, err := db.pool.Exec(ctx, `INSERT INTO outbox.events (type, user_id, payload)
		SELECT $1::text, n::text, $2::text::json FROM generate_series(1, $3::int) AS n`, eventType, payload, backlog); err != nil {
		return 0, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()
	select {
	case <-subscriber.done:
	case err := <-ended:
		return 0, err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	stop()
	if err := <-ended; err != nil {
		return 0, err
	}
	err = db.dropSlot(ctx, cfg.Replication.Slot)
	return backlog / time.Duration(subscriber.last.Load()-subscriber.first.Load()).Seconds(), err
}

// dropSlot removes a slot once the server has noticed that nobody reads it.
func (db *database) dropSlot(ctx context.Context, slot string) error {
	for {
		_, err := db.pool.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, slot)
		var fault *pgconn.PgError
		if !errors.As(err, &fault) || fault.Code != objectInUse {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

const objectInUse = "55006"

// subscriber accepts everything and notes when the first request and the last of the backlog came.
type subscriber struct {
	url         string
	server      *http.Server
	count       atomic.Int64
	first, last atomic.Int64 // Nanoseconds.
	done        chan struct{}
}

func listen() (*subscriber, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &subscriber{url: "http://" + listener.Addr().String(), done: make(chan struct{})}
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		switch s.count.Add(1) {
		case 1:
			s.first.Store(time.Now().UnixNano())
		case backlog:
			s.last.Store(time.Now().UnixNano())
			close(s.done)
		}
	})}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}
