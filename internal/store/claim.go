package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Due is a subscription with unfinished deliveries.
type Due struct {
	SubscriptionID uuid.UUID
	In             time.Duration // Until the first of them falls due; not positive: now.

	// The subscription's own limits; zero: none.
	Rate        float64 // Requests a second.
	Concurrency int     // Requests in flight.
	Timeout     time.Duration
}

var dueSQL = query("due")

// DueSubscriptions returns the subscriptions that have unfinished deliveries.
func DueSubscriptions(ctx context.Context, db DB) ([]Due, error) {
	rows, err := db.Query(ctx, dueSQL)
	if err != nil {
		return nil, fmt.Errorf("look for due deliveries: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Due, error) {
		var d Due
		var in, timeout int64
		err := row.Scan(&d.SubscriptionID, &in, &d.Rate, &d.Concurrency, &timeout)
		d.In, d.Timeout = time.Duration(in)*time.Microsecond, time.Duration(timeout)*time.Microsecond
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for due deliveries: %w", err)
	}
	return due, nil
}

// Claimed is a delivery taken up under a lease.
type Claimed struct {
	ID             uuid.UUID
	EventID        uuid.UUID
	SubscriptionID uuid.UUID
	Attempts       int // Made before.
	PayloadBytes   int
}

var claimSQL = query("claim")

// Wanted is how much of what is due for a subscription a claim takes up, and for how long.
type Wanted struct {
	SubscriptionID uuid.UUID
	Most           int
	Lease          time.Duration
}

// Claim takes up due deliveries, the longest due of each subscription first. Nobody else takes them up before their
// lease has run out.
func Claim(ctx context.Context, db DB, wanted []Wanted, token uuid.UUID) ([]Claimed, error) {
	ids := make(uuids, 0, len(wanted))
	limits, leases := make([]int32, len(wanted)), make([]int64, len(wanted))
	for i, w := range wanted {
		ids.add(w.SubscriptionID)
		limits[i], leases[i] = int32(w.Most), w.Lease.Microseconds()
	}
	rows, err := db.Query(ctx, claimSQL, ids.array(), limits, token, leases)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Claimed])
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return claimed, nil
}

// Errand is what a claimed delivery is to send, and where to.
type Errand struct {
	ID              uuid.UUID
	EventCreatedAt  time.Time
	EventType       string
	Tenant          string
	UserID          *string
	URL             string // Of the last attempt.
	HasEvent        bool   // false: the event was removed, or is not seen yet.
	Synchronous     bool   // Commits wait for a standby, and the stream brings what nobody sees yet.
	Payload         []byte
	Traceparent     string  // As the host app wrote it.
	HasSubscription bool    // false: it was removed or switched off.
	Subscription    *string // The row as JSON, as it is now.
}

var fetchSQL = query("fetch_claimed")

// FetchClaimed returns the errands of claimed deliveries, in no order; those whose lease is no longer held are left out.
func FetchClaimed(ctx context.Context, db DB, ids []uuid.UUID, token uuid.UUID) ([]Errand, error) {
	rows, err := db.Query(ctx, fetchSQL, uuidsOf(ids), token)
	if err != nil {
		return nil, fmt.Errorf("fetch claimed deliveries: %w", err)
	}
	errands, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Errand])
	if err != nil {
		return nil, fmt.Errorf("fetch claimed deliveries: %w", err)
	}
	return errands, nil
}

var releaseSQL = query("release")

// Release gives claimed deliveries back unsent.
func Release(ctx context.Context, db DB, ids []uuid.UUID, token uuid.UUID) error {
	if _, err := db.Exec(ctx, releaseSQL, uuidsOf(ids), token); err != nil {
		return fmt.Errorf("release deliveries: %w", err)
	}
	return nil
}

var (
	cancelDueSQL          = query("cancel_due")
	cancelSubscriptionSQL = query("cancel_subscription")
)

// CancelDue cancels what is due for those of the subscriptions that were removed or switched off.
func CancelDue(ctx context.Context, db DB, subscriptions []uuid.UUID) error {
	if _, err := db.Exec(ctx, cancelDueSQL, uuidsOf(subscriptions)); err != nil {
		return fmt.Errorf("cancel deliveries: %w", err)
	}
	return nil
}

// CancelSubscription cancels up to limit deliveries that wait for a subscription and are in nobody's hands, and returns how
// many. While the subscription is there and active (again), only what was last touched at changed or before goes: the rest
// is of events that came after.
func CancelSubscription(ctx context.Context, db DB, id uuid.UUID, changed time.Time, limit int) (int64, error) {
	tag, err := db.Exec(ctx, cancelSubscriptionSQL, id, changed, limit)
	if err != nil {
		return 0, fmt.Errorf("cancel deliveries: %w", err)
	}
	return tag.RowsAffected(), nil
}
