package main

import (
	"context"
	"fmt"
	"slices"
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

// beside runs work while host apps insert so many events a second, on the beat of a clock, and returns how long their inserts
// took. What an insert waits for a free connection counts, as it does for a host app. They go on for a while at least.
func (db *database) beside(ctx context.Context, lasting time.Duration, work func() error) (all delays, err error) {
	var mu sync.Mutex
	var turn atomic.Int64
	var connected sync.WaitGroup
	connected.Add(hosts)
	begin, done := make(chan time.Time), make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(done)
		connected.Wait()
		begun := time.Now()
		for range hosts {
			begin <- begun
		}
		failed <- work()
		time.Sleep(time.Until(begun.Add(lasting)))
	}()
	err = db.hosts(ctx, func(ctx context.Context, conn *pgx.Conn, _ int) error {
		_, err := conn.Exec(ctx, insertSQL, eventType, userID(0), payload) // prepares it
		connected.Done()
		begun := <-begin
		for n := 0; err == nil; n++ {
			at := begun.Add(time.Duration(turn.Add(1)) * time.Second / hostRate)
			select {
			case <-done:
				return nil
			case <-time.After(time.Until(at)):
			}
			if _, err = conn.Exec(ctx, insertSQL, eventType, userID(n), payload); err == nil {
				mu.Lock()
				all = append(all, time.Since(at))
				mu.Unlock()
			}
		}
		return err
	})
	if err == nil {
		err = <-failed
	}
	slices.Sort(all)
	return all, err
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
