package main

import (
	"context"
	"fmt"
)

// memory measures how much a relay holds while it drains what is far more than it may hold.
func memory(ctx context.Context, b *bench) ([]figure, error) {
	var figures []figure
	for _, work := range []backlog{
		{name: "many", path: "/ok", count: b.size.many, batch: 1000},
		{name: "single", path: "/ok", count: b.size.single, batch: b.size.single},
	} {
		d, err := drainBacklog(ctx, b, work)
		if err != nil {
			return figures, err
		}
		figures = append(figures, figure{
			Name:  fmt.Sprintf("draining %s events, %s a transaction", thousands(int64(work.count)), thousands(int64(work.batch))),
			Value: float64(d.relayPeak) / (1 << 20), Unit: "MiB", Target: below(128),
			Note: fmt.Sprintf("at %s deliveries/s", number(d.rate)),
		})
	}
	return figures, nil
}
