package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var (
	statusRelaysSQL   = query("status_relays")
	statusMinutesSQL  = query("status_minutes")
	statusBacklogSQL  = query("status_backlog")
	statusCountedSQL  = query("status_counted")
	statusWorstSQL    = query("status_worst")
	statusDatabaseSQL = query("status_database")
)

// SeenRelay is a heartbeat and how long ago it was written.
type SeenRelay struct {
	Heartbeat
	SeenAgo time.Duration
}

// ListRelays returns the relays that run or ran, who leads first.
func ListRelays(ctx context.Context, db DB) ([]SeenRelay, error) {
	rows, err := db.Query(ctx, statusRelaysSQL)
	if err != nil {
		return nil, fmt.Errorf("list relays: %w", err)
	}
	relays, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (SeenRelay, error) {
		var r SeenRelay
		var ago float64
		err := row.Scan(&r.ID, &r.Host, &r.PID, &r.Version, &r.Slot, &r.StartedAt, &r.Leads, &r.Ready, &r.State, &r.InFlight, &ago)
		r.SeenAgo = time.Duration(ago * float64(time.Second))
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list relays: %w", err)
	}
	return relays, nil
}

// LastMinutes returns what all relays together did in each minute of the last hour, and in the one that is under way, in
// order. RelayID and Backlog are not set.
func LastMinutes(ctx context.Context, db DB) ([]MinuteStats, error) {
	rows, err := db.Query(ctx, statusMinutesSQL)
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	minutes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (MinuteStats, error) {
		m := NewMinuteStats(time.Time{}, uuid.Nil)
		var answers, delays []string
		err := row.Scan(&m.Minute, &m.Events, &m.Accepted, &m.Rejected, &m.Unreachable, &m.Failed, &answers, &delays)
		if err == nil {
			err = errors.Join(m.Answers.addTexts(answers), m.Delays.addTexts(delays))
		}
		return *m, err
	})
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	return minutes, nil
}

// addTexts adds the counts of others, each a JSON array. Of a relay with other steps only what fits is added.
func (h Histogram) addTexts(others []string) error {
	for _, text := range others {
		var other Histogram
		if err := json.Unmarshal([]byte(text), &other); err != nil {
			return err
		}
		h.AddAll(other)
	}
	return nil
}

// AddAll adds the counts of another.
func (h Histogram) AddAll(other Histogram) {
	for i := range min(len(h), len(other)) {
		h[i] += other[i]
	}
}

// Count returns how many durations were counted.
func (h Histogram) Count() int64 {
	var sum int64
	for _, n := range h {
		sum += n
	}
	return sum
}

// Quantile returns the step that so large a share of the durations does not exceed, 0.95 for p95; ok is false where there
// are none. Above all steps it is negative.
func (h Histogram) Quantile(share float64) (step time.Duration, ok bool) {
	total := h.Count()
	if total == 0 {
		return 0, false
	}
	var sum int64
	for i, n := range h {
		if sum += n; float64(sum) >= share*float64(total) {
			if i >= len(StatSteps) {
				break
			}
			return StatSteps[i], true
		}
	}
	return -1, true
}

// Waiting is what waits in the database.
type Waiting struct {
	Pending, Retrying int64
	More              bool          // The numbers are lower bounds.
	Oldest            time.Duration // How long the first has been due; zero: nothing is.
}

// mostCounted bounds how many deliveries that wait are looked at.
const mostCounted = 100_000

// CountWaiting counts what waits, at a bounded cost: from a hundred thousand deliveries on it returns what the leading
// relay last counted, or lower bounds.
func CountWaiting(ctx context.Context, db DB) (Waiting, error) {
	var w Waiting
	var oldest float64
	if err := db.QueryRow(ctx, statusBacklogSQL, mostCounted).Scan(&w.Pending, &w.Retrying, &oldest); err != nil {
		return w, fmt.Errorf("count what waits: %w", err)
	}
	w.Oldest = time.Duration(oldest * float64(time.Second))
	if w.Pending+w.Retrying < mostCounted {
		return w, nil
	}
	var pending, retrying int64
	err := db.QueryRow(ctx, statusCountedSQL).Scan(&pending, &retrying)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return w, fmt.Errorf("count what waits: %w", err)
	case pending+retrying >= mostCounted:
		w.Pending, w.Retrying = pending, retrying
		return w, nil
	}
	w.More = true
	return w, nil
}

// Trouble is what went wrong at a subscription in this hour and the last.
type Trouble struct {
	SubscriptionID uuid.UUID
	Tenant         *string // This and the next three: nil, where it was removed.
	Name           *string
	URL            *string
	Active         *bool

	Accepted, Rejected, Unreachable int64 // Attempts.
	Failed                          int64 // Deliveries.
	DurationMS                      int64 // Of all attempts together.
}

// WorstSubscriptions returns those that most went wrong at, the worst first.
func WorstSubscriptions(ctx context.Context, db DB, limit int) ([]Trouble, error) {
	rows, err := db.Query(ctx, statusWorstSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("look for failing subscriptions: %w", err)
	}
	worst, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Trouble])
	if err != nil {
		return nil, fmt.Errorf("look for failing subscriptions: %w", err)
	}
	return worst, nil
}

// Database is where the relay's tables are, with how many subscriptions there are.
type Database struct {
	Name             string
	Now              time.Time
	Active, Inactive int64 // Subscriptions.
}

// DescribeDatabase returns it.
func DescribeDatabase(ctx context.Context, db DB) (Database, error) {
	var d Database
	if err := db.QueryRow(ctx, statusDatabaseSQL).Scan(&d.Name, &d.Now, &d.Active, &d.Inactive); err != nil {
		return d, fmt.Errorf("look at the database: %w", err)
	}
	return d, nil
}
