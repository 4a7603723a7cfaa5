package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	hosts = 8 // Connections of the host app.

	insertSQL = `INSERT INTO outbox.events (type, user_id, payload) VALUES ($1, $2, $3)`
)

// delays are how long inserts took, their commits included, sorted.
type delays []time.Duration

// at is in milliseconds.
func (d delays) at(percent float64) float64 {
	if len(d) == 0 {
		return 0
	}
	return d[int(float64(len(d)-1)*percent/100)].Seconds() * 1000
}

// flood inserts as fast as the connections can and returns the rate.
func (db *database) flood(ctx context.Context, lasting time.Duration) (rate float64, err error) {
	var inserted atomic.Int64
	begun := time.Now()
	err = db.hosts(ctx, func(ctx context.Context, conn *pgx.Conn, _ int) error {
		for n := 0; time.Since(begun) < lasting; n++ {
			if _, err := conn.Exec(ctx, insertSQL, eventType, userID(n), payload); err != nil {
				return err
			}
			inserted.Add(1)
		}
		return nil
	})
	return float64(inserted.Load()) / time.Since(begun).Seconds(), err
}

// steady inserts so many events a second, on the beat of a clock, until done is closed. What an insert waits for a free
// connection counts, as it does for a host app.
func (db *database) steady(ctx context.Context, rate int, done <-chan struct{}) (delays, error) {
	var mu sync.Mutex
	var all delays
	every := time.Second / time.Duration(rate)
	begun := time.Now()
	var turn atomic.Int64
	err := db.hosts(ctx, func(ctx context.Context, conn *pgx.Conn, _ int) error {
		for {
			at := begun.Add(time.Duration(turn.Add(1)) * every)
			select {
			case <-done:
				return nil
			case <-time.After(time.Until(at)):
			}
			if _, err := conn.Exec(ctx, insertSQL, eventType, strconv.Itoa(at.Nanosecond()%users), payload); err != nil {
				return err
			}
			mu.Lock()
			all = append(all, time.Since(at))
			mu.Unlock()
		}
	})
	slices.Sort(all)
	return all, err
}

// beside runs work while host apps insert, and returns how long their inserts took.
func (db *database) beside(ctx context.Context, work func() error) (delays, error) {
	done := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(done)
		failed <- work()
	}()
	d, err := db.steady(ctx, hostRate, done)
	if err := <-failed; err != nil {
		return nil, err
	}
	return d, err
}

// hostRate is inserts a second beside a removal: fifty times what 10 million in 30 days are, and well below what flood gives.
const hostRate = 200

func (db *database) hosts(ctx context.Context, insert func(context.Context, *pgx.Conn, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for n := range hosts {
		group.Go(func() error {
			conn, err := pgx.Connect(ctx, db.url)
			if err != nil {
				return fmt.Errorf("insert events: %w", err)
			}
			defer conn.Close(context.WithoutCancel(ctx))
			if err := insert(ctx, conn, n); err != nil {
				return fmt.Errorf("insert events: %w", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// slowHost is a host app's transaction that inserts an event and stays open for a while.
func (db *database) slowHost(ctx context.Context, lasting time.Duration) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertSQL, eventType, "0", payload); err != nil {
			return err
		}
		time.Sleep(lasting)
		return nil
	})
}
