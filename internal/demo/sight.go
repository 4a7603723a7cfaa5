//go:build unix

package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/outbox"
)

// sight is what the delivery log says at a moment.
type sight struct {
	counts      map[string]map[outbox.Status]int // By the subscriber's name.
	outstanding int                              // Deliveries that are pending or retrying.
	latest      []happening                      // The newest events, the newest first.
	latestAt    time.Time                        // When latest was read.
	at          time.Time
	took        time.Duration // To look.
}

// happening is an event and what became of it.
type happening struct {
	event     uuid.UUID
	eventType string
	user      string
	at        time.Time
	outcomes  map[string]outcome // By the subscriber's name.
}

type outcome struct {
	status   outbox.Status
	code     int
	attempts int
}

const (
	// latestEvents is how many events the screen shows.
	latestEvents = 8
	// latestEvery is how often they are replaced: any faster and nobody could read them.
	latestEvery = time.Second
)

// look reads the log. It costs the database little: the longer it takes, the less often it is done.
func (s *stage) look(ctx context.Context) error {
	begun := time.Now()
	const share = 10 // of the time, at most, goes on looking
	if begun.Sub(s.seen.at) < s.seen.took*share {
		return nil
	}
	next := sight{at: begun, counts: make(map[string]map[outbox.Status]int)}
	if err := s.countDeliveries(ctx, &next); err != nil {
		return err
	}
	if next.latest, next.latestAt = s.seen.latest, s.seen.latestAt; begun.Sub(next.latestAt) >= latestEvery {
		next.latest, next.latestAt = nil, begun
		if err := s.readLatest(ctx, &next); err != nil {
			return err
		}
	}
	next.took = time.Since(begun)
	s.seen = next
	return nil
}

func (s *stage) countDeliveries(ctx context.Context, next *sight) error {
	rows, err := s.db.Query(ctx, `
		SELECT s.name, d.status, count(*)
		  FROM outbox.deliveries AS d JOIN outbox.subscriptions AS s ON s.id = d.subscription_id
		 GROUP BY s.name, d.status`)
	if err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	var name string
	var status outbox.Status
	var n int
	_, err = pgx.ForEachRow(rows, []any{&name, &status, &n}, func() error {
		if next.counts[name] == nil {
			next.counts[name] = make(map[outbox.Status]int)
		}
		next.counts[name][status] = n
		if status == outbox.StatusPending || status == outbox.StatusRetrying {
			next.outstanding += n
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	return nil
}

func (s *stage) readLatest(ctx context.Context, next *sight) error {
	log, err := outbox.Log(ctx, s.db, outbox.Filter{Limit: latestEvents * len(s.subscribers())})
	if err != nil {
		return err
	}
	names := make(map[string]string)
	for _, sub := range s.subscribers() {
		names[sub.url()] = sub.name
	}
	for _, d := range log {
		i := slices.IndexFunc(next.latest, func(h happening) bool { return h.event == d.EventID })
		if i < 0 {
			if len(next.latest) == latestEvents {
				continue
			}
			i = len(next.latest)
			next.latest = append(next.latest, happening{
				event: d.EventID, eventType: d.EventType, user: deref(d.UserID), at: d.CreatedAt,
				outcomes: make(map[string]outcome),
			})
		}
		next.latest[i].outcomes[names[d.URL]] = outcome{status: d.Status, code: deref(d.ResponseCode), attempts: d.Attempts}
	}
	return nil
}

// healthySettled says whether all that was committed has come to the healthy subscriber and stands in the log.
func (s *stage) healthySettled() bool {
	received, _ := s.crm.journal()
	committed, _ := s.ledger.counts()
	return s.ledger.missing(received) == 0 && s.seen.counts[s.crm.name][outbox.StatusAccepted] >= committed
}

func deref[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}
