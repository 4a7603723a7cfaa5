package status

import (
	"time"

	"github.com/outboxrelay/relay/internal/store"
)

// Window is what all relays did in the last minutes: so many whole ones and the one under way.
type Window struct {
	Minutes     int     `json:"minutes"`
	Seconds     float64 `json:"seconds"` // That it spans.
	Events      int64   `json:"events"`
	Accepted    int64   `json:"accepted"` // Attempts, like the next two.
	Rejected    int64   `json:"rejected"`
	Unreachable int64   `json:"unreachable"`
	Failed      int64   `json:"failed"`       // Deliveries.
	Answers     Steps   `json:"answer_ms"`    // How long attempts took.
	Delays      Steps   `json:"first_try_ms"` // From the commit to the end of the first attempt.
}

// Steps are percentiles, in milliseconds: the upper bound of the step that each falls into. Nil: nothing was counted;
// negative: longer than the last step, 20 s.
type Steps struct {
	P50 *int64 `json:"p50"`
	P95 *int64 `json:"p95"`
	P99 *int64 `json:"p99"`
}

// windows sums the minutes up. Rates over a window count the minute under way as far as it has come.
func windows(minutes []store.MinuteStats, now time.Time) []Window {
	var all []Window
	this := now.UTC().Truncate(time.Minute)
	for _, n := range []int{1, 5, 60} {
		begin := this.Add(-time.Duration(n) * time.Minute)
		w := Window{Minutes: n, Seconds: now.Sub(begin).Seconds()}
		answers, delays := store.NewHistogram(), store.NewHistogram()
		for _, m := range minutes {
			if m.Minute.Before(begin) {
				continue
			}
			w.Events += m.Events
			w.Accepted += m.Accepted
			w.Rejected += m.Rejected
			w.Unreachable += m.Unreachable
			w.Failed += m.Failed
			answers.AddAll(m.Answers)
			delays.AddAll(m.Delays)
		}
		w.Answers, w.Delays = steps(answers), steps(delays)
		all = append(all, w)
	}
	return all
}

func steps(h store.Histogram) Steps {
	at := func(share float64) *int64 {
		step, ok := h.Quantile(share)
		if !ok {
			return nil
		}
		ms := int64(-1)
		if step >= 0 {
			ms = step.Milliseconds()
		}
		return &ms
	}
	return Steps{at(0.50), at(0.95), at(0.99)}
}
