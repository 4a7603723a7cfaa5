package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Outcomes counts attempts by what came of them, and deliveries that failed for good.
type Outcomes struct {
	Accepted, Rejected, Unreachable, Failed int64
	DurationMS                              int64 // What the attempts took together.
}

// Attempts is how many there were.
func (o Outcomes) Attempts() int64 { return o.Accepted + o.Rejected + o.Unreachable }

// Retrying is how many attempts did not reach the receiver and were not the last.
func (o Outcomes) Retrying() int64 { return max(o.Unreachable-o.Failed, 0) }

// Add adds others.
func (o *Outcomes) Add(other Outcomes) {
	o.Accepted += other.Accepted
	o.Rejected += other.Rejected
	o.Unreachable += other.Unreachable
	o.Failed += other.Failed
	o.DurationMS += other.DurationMS
}

// Day is a subscription's last 24 hours, the current one last.
type Day [24]Outcomes

// Total is the sum of the hours.
func (d *Day) Total() Outcomes {
	var sum Outcomes
	for _, hour := range d {
		sum.Add(hour)
	}
	return sum
}

var (
	webhookHoursSQL    = query("webhook_hours")
	catalogueSQL       = query("catalogue")
	overviewMinutesSQL = query("overview_minutes")
)

// Days returns the last 24 hours of subscriptions. The ids must be those that the viewer may see.
func Days(ctx context.Context, db DB, ids []uuid.UUID) (map[uuid.UUID]*Day, error) {
	rows, err := db.Query(ctx, webhookHoursSQL, ids)
	if err != nil {
		return nil, fmt.Errorf("read the statistics of webhooks: %w", err)
	}
	days := make(map[uuid.UUID]*Day)
	var id uuid.UUID
	var ago int
	var o Outcomes
	_, err = pgx.ForEachRow(rows, []any{&id, &ago, &o.Accepted, &o.Rejected, &o.Unreachable, &o.Failed, &o.DurationMS}, func() error {
		if ago < 0 || ago >= len(Day{}) {
			return nil
		}
		if days[id] == nil {
			days[id] = &Day{}
		}
		days[id][len(Day{})-1-ago].Add(o)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the statistics of webhooks: %w", err)
	}
	return days, nil
}

// CatalogueEntry is one event type of outbox.event_types.
type CatalogueEntry struct {
	Type        string
	Description string
	Sample      string // JSON text.
	Schema      string // JSON Schema; empty where there is none.
}

// ListCatalogue returns the catalogue of event types.
func ListCatalogue(ctx context.Context, db DB) ([]CatalogueEntry, error) {
	rows, err := db.Query(ctx, catalogueSQL)
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[CatalogueEntry])
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	return all, nil
}

// MinuteRow is what one relay did in one minute.
type MinuteRow struct {
	MinutesAgo                                      int
	Events, Accepted, Rejected, Unreachable, Failed int64
	AnswerCounts, DelayCounts                       Histogram
	Pending, Retrying                               *int64 // Nil: it did not lead.
	OldestSeconds                                   *float64
	SlotLagBytes                                    *int64
}

// LastHour returns what the relays did in the last 60 minutes, oldest first.
func LastHour(ctx context.Context, db DB) ([]MinuteRow, error) {
	rows, err := db.Query(ctx, overviewMinutesSQL)
	if err != nil {
		return nil, fmt.Errorf("read the statistics of relays: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[MinuteRow])
	if err != nil {
		return nil, fmt.Errorf("read the statistics of relays: %w", err)
	}
	return all, nil
}

// WorstRow is a subscription at which things went wrong.
type WorstRow struct {
	ID                uuid.UUID
	Name, URL, Tenant string // Empty where it was removed since.
	Active            bool
	Outcomes
}

// overviewWorst is how many the overview shows.
const overviewWorst = 10

// ListWorst returns the subscriptions that most went wrong at in this hour and the last.
func ListWorst(ctx context.Context, db DB) ([]WorstRow, error) {
	worst, err := WorstSubscriptions(ctx, db, overviewWorst)
	all := make([]WorstRow, len(worst))
	for i, w := range worst {
		all[i] = WorstRow{
			ID: w.SubscriptionID, Name: orZero(w.Name), URL: orZero(w.URL), Tenant: orZero(w.Tenant), Active: orZero(w.Active),
			Outcomes: Outcomes{
				Accepted: w.Accepted, Rejected: w.Rejected, Unreachable: w.Unreachable, Failed: w.Failed, DurationMS: w.DurationMS,
			},
		}
	}
	return all, err
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
