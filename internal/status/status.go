// Package status says how the relays on a database are doing: what `relay status` shows.
package status

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
)

// gone is when a relay that has written no heartbeat counts as gone. They write one every 5 s.
const gone = 30 * time.Second

// mostWorst is how many failing subscriptions are named.
const mostWorst = 5

// Status is how things stand at one moment.
type Status struct {
	Database string    `json:"database"`
	Time     time.Time `json:"time"`           // On the database's clock.
	Away     bool      `json:"away_from_home"` // A copy: nothing is sent from here.
	Warnings []string  `json:"warnings"`

	Relays        []Relay       `json:"relays"` // Those that run.
	Slot          Slot          `json:"slot"`
	Waiting       Waiting       `json:"waiting"`
	Windows       []Window      `json:"windows"` // The last 1, 5 and 60 minutes.
	Worst         []Worst       `json:"worst_subscriptions"`
	Subscriptions Subscriptions `json:"subscriptions"`
}

// Relay is one that runs.
type Relay struct {
	ID             uuid.UUID `json:"id"`
	Host           string    `json:"host"`
	PID            int       `json:"pid"`
	Version        string    `json:"version"`
	Slot           string    `json:"slot"`
	StartedAt      time.Time `json:"started_at"`
	SeenSecondsAgo float64   `json:"seen_seconds_ago"`
	Leads          bool      `json:"leads"`
	Ready          bool      `json:"ready"`
	State          string    `json:"state"`
	InFlight       int       `json:"in_flight"`
}

// Slot is the replication slot.
type Slot struct {
	Name      string `json:"name"`
	Exists    bool   `json:"exists"`
	Active    bool   `json:"active"`
	ActivePID int    `json:"active_pid"` // Of the server's process; 0: none.
	WALStatus string `json:"wal_status"`
	LagBytes  int64  `json:"lag_bytes"`
}

// Waiting is what waits in the database.
type Waiting struct {
	Pending          int64   `json:"pending"`
	Retrying         int64   `json:"retrying"`
	AtLeast          bool    `json:"at_least"` // The two are lower bounds.
	OldestDueSeconds float64 `json:"oldest_due_seconds"`
}

// Subscriptions says how many there are.
type Subscriptions struct {
	Active   int64 `json:"active"`
	Disabled int64 `json:"disabled"`
}

// Worst is a subscription that went wrong in this hour and the last.
type Worst struct {
	ID          uuid.UUID `json:"id"`
	Tenant      *string   `json:"tenant"` // Nil: it was removed.
	Name        *string   `json:"name"`
	URL         *string   `json:"url"`
	Active      *bool     `json:"active"`
	Accepted    int64     `json:"accepted"`
	Rejected    int64     `json:"rejected"`
	Unreachable int64     `json:"unreachable"`
	Failed      int64     `json:"failed"`
	MeanMS      float64   `json:"mean_ms"` // Of an attempt.
}

// Gather asks the database. It blocks until all is known, an error, or ctx's end.
func Gather(ctx context.Context, db store.DB, cfg *config.Config) (*Status, error) {
	where, err := store.DescribeDatabase(ctx, db)
	if err != nil {
		return nil, err
	}
	s := &Status{
		Database: where.Name, Time: where.Now, Warnings: []string{}, Relays: []Relay{}, Worst: []Worst{},
		Subscriptions: Subscriptions{where.Active, where.Inactive},
	}
	home, err := store.FindHome(ctx, db)
	if err != nil {
		return nil, err
	}
	s.Away = home.Away()
	relays, err := store.ListRelays(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, r := range relays {
		if r.SeenAgo < gone {
			s.Relays = append(s.Relays, Relay{
				r.ID, r.Host, r.PID, r.Version, r.Slot, r.StartedAt, r.SeenAgo.Seconds(), r.Leads, r.Ready, r.State, r.InFlight,
			})
		}
	}
	slot, err := store.FindSlot(ctx, db, cfg.Replication.Slot)
	if err != nil {
		return nil, err
	}
	s.Slot.Name = cfg.Replication.Slot
	if slot != nil {
		s.Slot = Slot{cfg.Replication.Slot, true, slot.Active, slot.ActivePID, slot.WALStatus, slot.LagBytes}
	}
	waiting, err := store.CountWaiting(ctx, db)
	if err != nil {
		return nil, err
	}
	s.Waiting = Waiting{waiting.Pending, waiting.Retrying, waiting.More, waiting.Oldest.Seconds()}
	minutes, err := store.LastMinutes(ctx, db)
	if err != nil {
		return nil, err
	}
	s.Windows = windows(minutes, where.Now)
	worst, err := store.WorstSubscriptions(ctx, db, mostWorst)
	if err != nil {
		return nil, err
	}
	for _, w := range worst {
		s.Worst = append(s.Worst, newWorst(w))
	}
	s.warn(relays, slot)
	return s, nil
}

func newWorst(t store.Trouble) Worst {
	w := Worst{
		ID: t.SubscriptionID, Tenant: t.Tenant, Name: t.Name, URL: t.URL, Active: t.Active,
		Accepted: t.Accepted, Rejected: t.Rejected, Unreachable: t.Unreachable, Failed: t.Failed,
	}
	if n := t.Accepted + t.Rejected + t.Unreachable; n > 0 {
		w.MeanMS = float64(t.DurationMS) / float64(n)
	}
	return w
}
