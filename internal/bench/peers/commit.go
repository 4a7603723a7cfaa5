package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// writers is how many connections of the host app commit.
const writers = 8

// committed is an event and when its COMMIT returned.
type committed struct {
	id uuid.UUID
	at time.Time
}

// commitSteadily inserts events on the beat of a clock, each in a transaction of its own, and prints a line for each: its id, and
// when its COMMIT returned, in Unix nanoseconds.
func commitSteadily(ctx context.Context, db *pgxpool.Pool, count, rate int, insert func(context.Context, uuid.UUID) error) error {
	all := make([]committed, count)
	turns := make(chan int)
	group, working := errgroup.WithContext(ctx)
	if err := connect(ctx, db); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	for range writers {
		group.Go(func() error {
			for i := range turns {
				id := uuid.New()
				if err := insert(working, id); err != nil {
					return err
				}
				all[i] = committed{id, time.Now()}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(turns)
		begun := time.Now()
		for i := range count {
			time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			select {
			case turns <- i:
			case <-working.Done():
				return working.Err()
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	out := bufio.NewWriter(os.Stdout)
	for _, c := range all {
		fmt.Fprintln(out, c.id, c.at.UnixNano())
	}
	return out.Flush()
}

// connect makes the connections that will be used.
func connect(ctx context.Context, db *pgxpool.Pool) error {
	for range writers {
		conn, err := db.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
	}
	return nil
}
