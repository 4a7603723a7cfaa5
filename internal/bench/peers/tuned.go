package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// runTuned is the best polling outbox we can write: each worker POSTs its batch with many requests in flight on connections
// that are kept alive, while others fetch theirs or mark them as sent. A batch ends with its slowest request; with several
// workers that leaves no gap.
func runTuned(ctx context.Context, db *pgxpool.Pool, s settings, post *poster) error {
	group, ctx := errgroup.WithContext(ctx)
	for range s.workers {
		group.Go(func() error {
			return pollLoop(ctx, db, s, func(ctx context.Context, events []polled) error {
				return sendAtOnce(ctx, events, s.inFlight, post)
			})
		})
	}
	return group.Wait()
}

// sendAtOnce sends events with so many requests in flight. Goroutines take the next event as they are done: one for each
// request in flight costs less than one for each event.
func sendAtOnce(ctx context.Context, events []polled, inFlight int, post *poster) error {
	next := make(chan *polled, len(events))
	for i := range events {
		next <- &events[i]
	}
	close(next)
	group, ctx := errgroup.WithContext(ctx)
	for range min(inFlight, len(events)) {
		group.Go(func() error {
			for e := range next {
				if err := e.attempt(ctx, post); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
