package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// memory measures how much a relay holds while it drains what is far more than it may hold.
func memory(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	for _, work := range []rig.Backlog{{Events: size.many, Batch: 1000}, {Events: size.single, Batch: size.single}} {
		if err := memoryOf(ctx, r, work, s); err != nil {
			return err
		}
	}
	return nil
}

func memoryOf(ctx context.Context, r *rig.Rig, work rig.Backlog, s *report.Section) (err error) {
	db, err := r.NewDatabase(ctx, fmt.Sprintf("memory_%d", work.Batch))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Drop(context.WithoutCancel(ctx), db)) }()
	if err := r.InitRelay(ctx, db); err != nil {
		return err
	}
	if err := db.Subscribe(ctx, "receiver", r.Receiver.URL("/ok")); err != nil {
		return err
	}
	got, err := r.Drain(ctx, db, work)
	if err != nil {
		return err
	}
	s.Figures = append(s.Figures, report.Figure{
		Name:  fmt.Sprintf("draining %s events, %s a transaction", plot.Thousands(int64(work.Events)), plot.Thousands(int64(work.Batch))),
		Value: mebibytes(got.PeakBytes), Unit: "MiB", Target: report.Below(128),
		Note: fmt.Sprintf("at %s deliveries/s", plot.Number(got.Rate)),
	})
	return nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
