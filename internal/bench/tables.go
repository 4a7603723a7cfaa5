package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

//go:embed tables.sql
var historySQL string

// tables measures whether the rate holds as the log grows. All databases are vacuumed and analyzed before the first round;
// autovacuum is off while rounds are measured, so that it falls into none of them. Backlogs are long: just after a checkpoint,
// as each drain begins, Postgres writes each page that is touched to the WAL whole, and a short one would show little else.
func tables(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	c := &comparison{rig: r, section: s}
	defer c.close(ctx, &err)
	defer func() {
		err = errors.Join(err, r.Set(context.WithoutCancel(ctx), map[string]string{"autovacuum": "on"}))
	}()
	for _, n := range size.history {
		db, err := c.outbox(ctx)
		if err != nil {
			return err
		}
		if err := fill(ctx, r, db, n, s); err != nil {
			return err
		}
		if err := db.Subscribe(ctx, "receiver", r.Receiver.URL("/ok")); err != nil {
			return err
		}
		c.add(plot.Thousands(int64(n))+" events before", func(ctx context.Context) (rounds.Sample, error) {
			if n == 0 { // What earlier rounds delivered.
				if err := db.Truncate(ctx); err != nil {
					return rounds.Sample{}, err
				}
			}
			return r.Drain(ctx, db, rig.Backlog{Events: size.longer})
		})
	}
	if err := r.Set(ctx, map[string]string{"autovacuum": "off"}); err != nil {
		return err
	}
	got, err := c.run(ctx, size.close)
	if err != nil {
		return err
	}
	s.Grid = grid(got, "empty tables")
	for i, n := range size.history[1:] {
		s.Figures = append(s.Figures, report.Median(fmt.Sprintf("%s events before ÷ none", plot.Thousands(int64(n))), got.Ratio(i+1, 0), "").
			Against(report.AtLeast(0.9)))
	}
	s.Notes = append(s.Notes, fmt.Sprintf("Backlogs of %s events, each after a CHECKPOINT. All tables were vacuumed and analyzed before the first round; "+
		"autovacuum was off during the rounds.", plot.Thousands(int64(size.longer))))
	s.Charts = append(s.Charts, plot.Chart{File: "tables.svg", Title: "Deliveries a second by events that are in the log already",
		Lines: overCounts(got, size.history, "events, each with a delivery and an attempt")})
	return nil
}

// fill writes so many events of the last four weeks with their deliveries and attempts, by SQL, and no stream sees them: there
// is no slot. Nothing of it needs to be on disk before it is complete.
func fill(ctx context.Context, r *rig.Rig, db *rig.Database, events int, s *report.Section) error {
	begun := time.Now()
	if events > 0 {
		rig.Say("  filling: %s events", plot.Thousands(int64(events)))
		if err := r.Set(ctx, map[string]string{"fsync": "off", "max_wal_size": "16GB", "autovacuum": "off"}); err != nil {
			return err
		}
		if _, err := db.Pool.Exec(ctx, historySQL); err != nil {
			return fmt.Errorf("prepare the history: %w", err)
		}
		group, filling := errgroup.WithContext(ctx)
		for _, table := range []string{"events", "deliveries", "attempts"} {
			group.Go(func() error {
				if _, err := db.Pool.Exec(filling, "SELECT bench.fill_"+table+"($1)", events); err != nil {
					return fmt.Errorf("fill %s: %w", table, err)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err := r.Set(ctx, map[string]string{"fsync": "on", "max_wal_size": "1GB"}); err != nil {
			return err
		}
	}
	for _, sql := range []string{"VACUUM (ANALYZE) outbox.events", "VACUUM (ANALYZE) outbox.deliveries", "VACUUM (ANALYZE) outbox.attempts", "CHECKPOINT"} {
		if _, err := db.Pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("fill the tables: %w", err)
		}
	}
	if events == 0 {
		return nil
	}
	var size int64
	if err := db.Pool.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&size); err != nil {
		return fmt.Errorf("fill the tables: %w", err)
	}
	s.Notes = append(s.Notes, fmt.Sprintf("%s events before: %s MB on disk, filled in %.0f s.",
		plot.Thousands(int64(events)), plot.Thousands(size/1e6), time.Since(begun).Seconds()))
	return nil
}
