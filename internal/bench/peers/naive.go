package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

// runNaive is a polling outbox as people write it: each worker takes a batch and POSTs one event after the other.
func runNaive(ctx context.Context, db *pgxpool.Pool, s settings, post *poster) error {
	group, ctx := errgroup.WithContext(ctx)
	for range s.workers {
		group.Go(func() error {
			return pollLoop(ctx, db, s, func(ctx context.Context, events []polled) error {
				for i := range events {
					if err := events[i].attempt(ctx, post); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return group.Wait()
}
