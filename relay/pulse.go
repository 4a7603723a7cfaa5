package relay

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// pulseEvery is how often the pulse beats.
	pulseEvery = 200 * time.Millisecond

	// stillFor is for how long a relay may have been held still and go on with its stream: below any sensible
	// wal_sender_timeout, after which another may lead, and well above what a busy machine makes a goroutine wait.
	stillFor = 2 * time.Second
)

// errHeldStill ends a stream that may be another relay's by now. What the connection still holds of it was delivered by that one.
var errHeldStill = errors.New("this process was held still, by a signal or with its machine: another relay may have taken over")

// pulse notices that the process was held still. Safe for several goroutines; of a nil one everything is alive.
type pulse struct {
	mu    sync.Mutex
	last  time.Time
	still bool // It was, since reset.
}

// run beats until ctx ends.
func (p *pulse) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.beat(time.Now())
		sleep(ctx, pulseEvery)
	}
}

func (p *pulse) beat(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(now)
	p.last = now
}

// alive says whether the process ran all the time since reset.
func (p *pulse) alive(now time.Time) bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look(now)
	return !p.still
}

// look compares with both clocks: the monotonic one may stand still with the machine.
func (p *pulse) look(now time.Time) {
	if !p.last.IsZero() && max(now.Sub(p.last), now.Round(0).Sub(p.last.Round(0))) > stillFor {
		p.still = true
	}
}

// reset begins anew: a stream is about to begin.
func (p *pulse) reset(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.still = now, false
}
