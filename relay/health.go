package relay

import (
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/outbox"
)

const (
	// changesHealth is how many attempts in a row a subscription must fail, or do well, before its health counts as
	// changed: one bad answer is no news.
	changesHealth = 3

	// healthKept is how long a subscription that is not sent anything is remembered as failing.
	healthKept = 24 * time.Hour
)

// health notices which subscriptions begin to fail and which are well again, and says each once in the log. Safe for
// several goroutines.
type health struct {
	log *slog.Logger

	mu    sync.Mutex
	cases map[uuid.UUID]*healthCase // Those that are failing, or may begin to.
}

type healthCase struct {
	failing bool
	streak  int       // Attempts in a row that speak against what is held of it.
	since   time.Time // The first failure.
	failed  int       // Attempts since then that were not accepted.
	seen    time.Time
}

func newHealth(log *slog.Logger) *health {
	return &health{log: log, cases: make(map[uuid.UUID]*healthCase)}
}

// attempted takes note of an attempt.
func (h *health) attempted(d *delivery) {
	ok := d.decision.Status == outbox.StatusAccepted
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.cases[d.sub.id]
	if c == nil {
		if ok {
			return
		}
		c = &healthCase{since: d.outcome.EndedAt}
		h.cases[d.sub.id] = c
	}
	c.seen = d.outcome.EndedAt
	if !ok {
		c.failed++
	}
	if ok == c.failing {
		c.streak++
	} else {
		c.streak = 0
	}
	switch {
	case ok && !c.failing:
		delete(h.cases, d.sub.id)
	case c.streak < changesHealth:
	case c.failing:
		delete(h.cases, d.sub.id)
		h.log.Warn("subscription is well again", "subscription_id", d.sub.id, "host", d.sub.host(),
			"failing_for", c.seen.Sub(c.since).Round(time.Second).String(), "attempts_failed", c.failed)
	default:
		c.failing, c.streak = true, 0
		failing := []any{"subscription_id", d.sub.id, "host", d.sub.host(), "result", d.outcome.result()}
		if d.outcome.Error != "" { // Without an answer.
			failing = append(failing, "error", d.outcome.Error)
		}
		h.log.Warn("subscription is failing", failing...)
	}
}

// forget drops what has not been heard of for long, so that subscriptions that are gone take no memory.
func (h *health) forget(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range h.cases {
		if now.Sub(c.seen) > healthKept {
			delete(h.cases, id)
		}
	}
}
