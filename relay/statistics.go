package relay

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// statisticsKept bounds what is kept while the database takes no writes.
const statisticsKept = 3 * time.Hour

// statistics counts what this relay did, by minute and, for each subscription, by hour. Rows are written whole, again and
// again until their time is over, so writing one twice does no harm. Safe for several goroutines.
type statistics struct {
	relay uuid.UUID

	mu      sync.Mutex
	minutes map[time.Time]*store.MinuteStats
	hours   map[subscriptionHour]*store.HourStats
}

type subscriptionHour struct {
	subscription uuid.UUID
	hour         time.Time
}

func newStatistics(relay uuid.UUID) *statistics {
	return &statistics{
		relay: relay, minutes: make(map[time.Time]*store.MinuteStats), hours: make(map[subscriptionHour]*store.HourStats),
	}
}

// minute returns the counts of a moment's minute, made on first use. The caller holds the lock.
func (s *statistics) minute(at time.Time) *store.MinuteStats {
	start := at.Round(0).UTC().Truncate(time.Minute)
	m := s.minutes[start]
	if m == nil {
		m = store.NewMinuteStats(start, s.relay)
		s.minutes[start] = m
	}
	m.Changed = true
	return m
}

func (s *statistics) hour(subscription uuid.UUID, at time.Time) *store.HourStats {
	key := subscriptionHour{subscription, at.Round(0).UTC().Truncate(time.Hour)}
	h := s.hours[key]
	if h == nil {
		h = &store.HourStats{SubscriptionID: subscription, Hour: key.hour, RelayID: s.relay}
		s.hours[key] = h
	}
	h.Changed = true
	return h
}

// captured counts events that were read from the stream.
func (s *statistics) captured(at time.Time, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minute(at).Events += int64(n)
}

// attempted counts an attempt.
func (s *statistics) attempted(d *delivery) {
	took := d.outcome.Duration()
	s.mu.Lock()
	defer s.mu.Unlock()
	m, h := s.minute(d.outcome.EndedAt), s.hour(d.sub.id, d.outcome.EndedAt)
	switch {
	case d.decision.Status == outbox.StatusAccepted:
		m.Accepted++
		h.Accepted++
	case d.outcome.Answered():
		m.Rejected++
		h.Rejected++
	default:
		m.Unreachable++
		h.Unreachable++
	}
	if d.decision.Status == outbox.StatusFailed {
		m.Failed++
		h.Failed++
	}
	h.DurationMS += took.Milliseconds()
	m.Answers.Add(took)
	if delay, ok := d.delay(); ok {
		m.Delays.Add(delay)
	}
}

// waiting notes what waits in the database.
func (s *statistics) waiting(at time.Time, b store.Backlog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minute(at).Backlog = &b
}

// changed returns copies of what is to be written.
func (s *statistics) changed() (minutes []store.MinuteStats, hours []store.HourStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.minutes {
		if m.Changed {
			minutes = append(minutes, m.Copy())
			m.Changed = false
		}
	}
	for _, h := range s.hours {
		if h.Changed {
			hours = append(hours, *h)
			h.Changed = false
		}
	}
	return minutes, hours
}

// saved lets go of rows whose time is over and which are written.
func (s *statistics) saved(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, m := range s.minutes {
		if !m.Changed && now.Sub(at) > 2*time.Minute {
			delete(s.minutes, at)
		}
	}
	for key, h := range s.hours {
		if !h.Changed && now.Sub(key.hour) > time.Hour+time.Minute {
			delete(s.hours, key)
		}
	}
}

// unsaved notes that what changed returned was not written, and lets go of what is old.
func (s *statistics) unsaved(minutes []store.MinuteStats, hours []store.HourStats, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range minutes {
		if m := s.minutes[minutes[i].Minute]; m != nil {
			m.Changed = now.Sub(m.Minute) < statisticsKept
		}
	}
	for i := range hours {
		if h := s.hours[subscriptionHour{hours[i].SubscriptionID, hours[i].Hour}]; h != nil {
			h.Changed = now.Sub(h.Hour) < statisticsKept
		}
	}
}
