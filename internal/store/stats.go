package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// StatSteps are the upper bounds of a Histogram's counts; the last count is of what took longer than all.
var StatSteps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second,
}

// Histogram counts durations by StatSteps.
type Histogram []int64

// NewHistogram returns one with nothing in it.
func NewHistogram() Histogram { return make(Histogram, len(StatSteps)+1) }

// Add counts a duration.
func (h Histogram) Add(d time.Duration) {
	i, _ := slices.BinarySearch(StatSteps, d)
	h[i]++
}

// MinuteStats is what one relay did in one minute.
type MinuteStats struct {
	Minute  time.Time
	RelayID uuid.UUID
	Events  int64

	Accepted, Rejected, Unreachable int64 // Attempts.
	Failed                          int64 // Deliveries.

	Answers Histogram // Attempts by duration.
	Delays  Histogram // First attempts by the time since the commit.

	Backlog *Backlog // Where this relay led.
	Changed bool     // For the counter's own use.
}

// NewMinuteStats returns counts of nothing.
func NewMinuteStats(minute time.Time, relay uuid.UUID) *MinuteStats {
	return &MinuteStats{Minute: minute, RelayID: relay, Answers: NewHistogram(), Delays: NewHistogram()}
}

// Copy returns one that shares nothing.
func (m *MinuteStats) Copy() MinuteStats {
	c := *m
	c.Answers, c.Delays = slices.Clone(m.Answers), slices.Clone(m.Delays)
	return c
}

// HourStats is what one relay sent to one subscription in one hour.
type HourStats struct {
	SubscriptionID uuid.UUID
	Hour           time.Time
	RelayID        uuid.UUID

	Accepted, Rejected, Unreachable int64 // Attempts.
	Failed                          int64 // Deliveries.

	DurationMS int64 // Of all attempts together.
	Changed    bool  // For the counter's own use.
}

// Backlog is what waits in the database, and how far the slot is behind.
type Backlog struct {
	Pending, Retrying int64
	Oldest            time.Duration // How long the oldest pending delivery has been due.
	SlotLagBytes      int64
	SafeWALBytes      *int64 // How much more WAL may be written before the server gives the slot up; nil: no limit.
}

var (
	backlogSQL       = query("backlog")
	saveMinutesSQL   = query("save_minutes")
	saveHoursSQL     = query("save_hours")
	forgetMinutesSQL = query("forget_minutes")
	forgetHoursSQL   = query("forget_hours")
)

// CountBacklog counts what waits. It reads all that waits, so its cost grows with it.
func CountBacklog(ctx context.Context, db DB, slot string) (Backlog, error) {
	var b Backlog
	var oldest float64
	if err := db.QueryRow(ctx, backlogSQL, slot).Scan(&b.Pending, &b.Retrying, &oldest, &b.SlotLagBytes, &b.SafeWALBytes); err != nil {
		return b, fmt.Errorf("count what waits: %w", err)
	}
	b.Oldest = time.Duration(oldest * float64(time.Second))
	return b, nil
}

// SaveStats writes rows whole, in place of what stood there.
func SaveStats(ctx context.Context, db DB, minutes []MinuteStats, hours []HourStats) error {
	for i := range minutes {
		m := &minutes[i]
		var pending, retrying, lag *int64
		var oldest *float64
		if b := m.Backlog; b != nil {
			seconds := b.Oldest.Seconds()
			pending, retrying, lag, oldest = &b.Pending, &b.Retrying, &b.SlotLagBytes, &seconds
		}
		_, err := db.Exec(ctx, saveMinutesSQL, m.Minute, m.RelayID, m.Events, m.Accepted, m.Rejected, m.Unreachable, m.Failed,
			[]int64(m.Answers), []int64(m.Delays), pending, retrying, oldest, lag)
		if err != nil {
			return fmt.Errorf("save statistics: %w", err)
		}
	}
	if len(hours) == 0 {
		return nil
	}
	var subscriptions, relays uuids
	var at []time.Time
	counts := make([][]int64, 5)
	for i := range hours {
		h := &hours[i]
		subscriptions.add(h.SubscriptionID)
		relays.add(h.RelayID)
		at = append(at, h.Hour)
		for j, n := range []int64{h.Accepted, h.Rejected, h.Unreachable, h.Failed, h.DurationMS} {
			counts[j] = append(counts[j], n)
		}
	}
	_, err := db.Exec(ctx, saveHoursSQL, subscriptions.array(), at, relays.array(), counts[0], counts[1], counts[2], counts[3], counts[4])
	if err != nil {
		return fmt.Errorf("save statistics: %w", err)
	}
	return nil
}

// ForgetStats removes statistics, and heartbeats of relays that are gone, older than two days.
func ForgetStats(ctx context.Context, db DB) error {
	for _, sql := range []string{forgetMinutesSQL, forgetHoursSQL, forgetHeartbeatsSQL} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return fmt.Errorf("remove old statistics: %w", err)
		}
	}
	return nil
}
