package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	recordWarmUp  = 100 // Statements that fill caches and, after a checkpoint, write whole pages to the WAL.
	recordBatches = 100
	recordBatch   = 500

	perUserSQL = `SELECT event_type, url, status, attempts, response_code, last_attempt_at
		  FROM outbox.delivery_log WHERE user_id = $1 ORDER BY created_at DESC LIMIT 50`
	byIDSQL = `SELECT e.payload::text FROM outbox.deliveries AS d JOIN outbox.events AS e ON e.id = d.event_id WHERE d.id = $1`
)

// logQueries are those of whoever pages through the log; each should read an index, in its order.
var logQueries = []struct{ name, sql string }{
	{"newest first", `SELECT id FROM outbox.deliveries WHERE (event_created_at, id) < ($1, $2) ORDER BY event_created_at DESC, id DESC LIMIT 50`},
	{"of a subscription", `SELECT id FROM outbox.deliveries WHERE subscription_id = $3 AND (event_created_at, id) < ($1, $2)
		ORDER BY event_created_at DESC, id DESC LIMIT 50`},
	{"not accepted", `SELECT id FROM outbox.deliveries WHERE status <> 'accepted' AND (event_created_at, id) < ($1, $2)
		ORDER BY event_created_at DESC, id DESC LIMIT 50`},
}

// recording measures the statement that records outcomes, by turns here and on empty tables.
func (t *trial) recording(ctx context.Context) error {
	empty, err := t.open(ctx, "nothing")
	if err != nil {
		return err
	}
	if err := t.w.setUp(ctx, empty); err != nil {
		return err
	}
	if err := t.w.load(ctx, empty, history{begin: t.history.begin}); err != nil {
		return err
	}
	if err := t.w.finish(ctx, empty); err != nil {
		return err
	}
	var took [2]time.Duration
	for n := range recordWarmUp + recordBatches {
		for i, db := range []*database{empty, t.db} {
			batch := newRecords(recordBatch)
			begun := time.Now()
			if err := t.w.record(ctx, db.pool, batch); err != nil {
				return err
			}
			if n >= recordWarmUp {
				took[i] += time.Since(begun)
			}
		}
	}
	rate := func(d time.Duration) float64 { return recordBatch * recordBatches / d.Seconds() }
	t.add(fmt.Sprintf("deliveries recorded, %d a statement", recordBatch), "%s/s", thousands(int64(rate(took[1]))))
	t.add("the same ÷ on empty tables", "%.2f", rate(took[1])/rate(took[0]))
	return t.drop(ctx, empty, "nothing")
}

// reading measures queries of the log, warm and just after a restart.
func (t *trial) reading(ctx context.Context) error {
	if _, err := t.db.perUser(ctx, 0); err != nil { // warms up
		return err
	}
	warm, err := t.db.perUser(ctx, 0)
	if err != nil {
		return err
	}
	t.db.pool.Reset()
	t.admin.Reset()
	if err := t.cool(ctx); err != nil {
		return err
	}
	cold, err := t.db.perUser(ctx, 1)
	if err != nil {
		return err
	}
	t.add("log of a user, warm: p50 / p99", "%.2f / %.2f ms", warm.at(50), warm.at(99))
	t.add("log of a user, cold: p50 / p99", "%.1f / %.1f ms", cold.at(50), cold.at(99))
	if err := t.byID(ctx); err != nil {
		return err
	}
	return t.paging(ctx)
}

const asked = 200 // Users.

func (db *database) perUser(ctx context.Context, from int) (delays, error) {
	var all delays
	for n := range asked {
		begun := time.Now()
		rows, err := db.pool.Query(ctx, perUserSQL, userID(from+n*317))
		if err != nil {
			return nil, err
		}
		found := 0
		for rows.Next() {
			found++
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		if found == 0 {
			return nil, fmt.Errorf("user %s has no log", userID(from+n*317))
		}
		all = append(all, time.Since(begun))
	}
	slices.Sort(all)
	return all, nil
}

// byID reads a delivery and its event by the delivery's id alone.
func (t *trial) byID(ctx context.Context) error {
	var all delays
	for n := range 2 * asked {
		e := t.history.event(t.history.count/2 + n)
		begun := time.Now()
		var found string
		if err := t.db.pool.QueryRow(ctx, byIDSQL, e.delivery).Scan(&found); err != nil {
			return fmt.Errorf("read a delivery: %w", err)
		}
		if n >= asked {
			all = append(all, time.Since(begun))
		}
	}
	slices.Sort(all)
	t.add("a delivery and its payload by id, warm: p50 / p99", "%.2f / %.2f ms", all.at(50), all.at(99))
	return nil
}

// paging reads a page in the middle of the log by each query.
func (t *trial) paging(ctx context.Context) error {
	for _, q := range logQueries {
		var all delays
		e := t.history.event(t.history.count / 2)
		args := []any{e.at, e.delivery, e.subscription}[:2+strings.Count(q.sql, "$3")]
		for range 20 {
			begun := time.Now()
			rows, err := t.db.pool.Query(ctx, q.sql, args...)
			if err != nil {
				return err
			}
			if _, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte]); err != nil {
				return err
			}
			all = append(all, time.Since(begun))
		}
		slices.Sort(all)
		plan, err := t.plan(ctx, q.sql, args)
		if err != nil {
			return err
		}
		t.add("a page of the log, "+q.name+": p50, plan", "%.2f ms, %s", all.at(50), plan)
	}
	return nil
}

// plan says by which indexes a query reads, and what it does besides that costs more with more rows.
func (t *trial) plan(ctx context.Context, sql string, args []any) (string, error) {
	rows, err := t.db.pool.Query(ctx, "EXPLAIN "+sql, args...)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	text := strings.Join(lines, "\n")
	for _, slow := range []string{"Seq Scan", "Sort  (", "Bitmap"} {
		if strings.Contains(text, slow) {
			return "with a " + strings.TrimRight(slow, " ("), nil
		}
	}
	if n := strings.Count(text, " using "); n > 1 {
		return fmt.Sprintf("%d indexes", n), nil
	}
	return "one index", nil
}
