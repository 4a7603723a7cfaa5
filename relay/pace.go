package relay

import "time"

const (
	// paceSlack is how early a request may begin, so that timers that fire late do not lower the rate.
	paceSlack = 10 * time.Millisecond

	// paceHorizon is how far ahead of its turn a delivery may wait in a lane: what would wait longer is better off in the
	// database. Half of staleAfter, so that nothing waits long enough to hold up the slot.
	paceHorizon = staleAfter / 2
)

// pace spaces requests evenly: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling"). The zero value lets
// everything pass. Guarded by the dispatcher's lock.
type pace struct {
	every time.Duration // Between two requests; 0: no limit.
	next  time.Time     // When the next request is expected.
	timer *time.Timer   // Wakes the lane; nil while none is set.
}

// set changes the rate, in requests a second; 0 lifts the limit.
func (p *pace) set(rate float64) {
	p.every = 0
	if rate > 0 {
		p.every = max(time.Duration(float64(time.Second)/rate), 1)
	}
}

// wait is how long the next request has to wait after n more, not positive where it need not.
func (p *pace) wait(now time.Time, n int) time.Duration {
	if p.every == 0 {
		return 0
	}
	wait := time.Duration(n) * p.every
	if early := p.next.Add(-paceSlack); early.After(now) {
		wait += early.Sub(now)
	}
	return wait
}

// spend notes that a request begins.
func (p *pace) spend(now time.Time) {
	if p.every == 0 {
		return
	}
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
}

// within is how many more requests may begin before the horizon, besides n that wait already. There must be a rate.
func (p *pace) within(now time.Time, n int) int {
	left := paceHorizon - p.wait(now, n)
	if left < 0 {
		return 0
	}
	return int(left/p.every) + 1
}
