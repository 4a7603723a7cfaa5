package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// delivery is a job: one event to one URL.
type delivery struct {
	ID      uuid.UUID       `json:"id"`
	Type    string          `json:"type"`
	UserID  string          `json:"user_id"`
	At      time.Time       `json:"at"`
	Payload json.RawMessage `json:"payload"`
}

// Kind names the job.
func (delivery) Kind() string { return "delivery" }

// deliverer does it. What it returns as an error, river tries again.
type deliverer struct {
	river.WorkerDefaults[delivery]
	post *poster
}

// Work POSTs the event.
func (d *deliverer) Work(ctx context.Context, job *river.Job[delivery]) error {
	e := &job.Args
	return d.post.send(ctx, e.ID.String(), e.Type, e.At, e.Payload)
}

// Timeout is relay's default.
func (*deliverer) Timeout(*river.Job[delivery]) time.Duration { return 15 * time.Second }

// setUpRiver makes river's tables where they are missing, and inserts one job for each event's delivery, as a host app does in its
// transaction: InsertManyTx.
func setUpRiver(ctx context.Context, db *pgxpool.Pool, events int, payload string) error {
	driver := riverpgxv5.New(db)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	client, err := river.NewClient(driver, &river.Config{})
	if err != nil {
		return fmt.Errorf("make a river client: %w", err)
	}
	const batch = 1000
	for first := 0; first < events; first += batch {
		jobs := make([]river.InsertManyParams, min(batch, events-first))
		for i := range jobs {
			jobs[i].Args = delivery{
				ID: uuid.New(), Type: "order.updated", UserID: fmt.Sprint(first + i), At: time.Now(), Payload: json.RawMessage(payload),
			}
		}
		if err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			_, err := client.InsertManyTx(ctx, tx, jobs)
			return err
		}); err != nil {
			return fmt.Errorf("insert jobs: %w", err)
		}
	}
	if _, err := db.Exec(ctx, `ANALYZE river_job`); err != nil {
		return fmt.Errorf("analyze jobs: %w", err)
	}
	return nil
}

// riverInserter inserts a job by InsertTx. Who inserts notifies no more often than its own FetchCooldown.
func riverInserter(db *pgxpool.Pool, s settings, payload string) (func(context.Context, uuid.UUID) error, error) {
	client, err := river.NewClient(riverpgxv5.New(db), &river.Config{FetchCooldown: s.cooldown})
	if err != nil {
		return nil, fmt.Errorf("make a river client: %w", err)
	}
	return func(ctx context.Context, id uuid.UUID) error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			_, err := client.InsertTx(ctx, tx, delivery{
				ID: id, Type: "order.updated", UserID: "42", At: time.Now(), Payload: json.RawMessage(payload),
			}, nil)
			return err
		})
	}, nil
}

// runRiver works jobs until ctx ends.
func runRiver(ctx context.Context, db *pgxpool.Pool, s settings, post *poster) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &deliverer{post: post})
	client, err := river.NewClient(riverpgxv5.New(db), &river.Config{
		FetchCooldown:     s.cooldown,
		FetchPollInterval: max(s.cooldown, 100*time.Millisecond),
		Logger:            slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: s.workers}},
		Workers:           workers,
	})
	if err != nil {
		return fmt.Errorf("make a river client: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start river: %w", err)
	}
	<-ctx.Done()
	if err := client.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stop river: %w", err)
	}
	return nil
}
