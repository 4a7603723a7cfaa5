package relay

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// spillKind says how a delivery is written down.
type spillKind int

const (
	spillInFlight spillKind = iota // Leased to the request that is under way.
	spillUnsent                    // Due at once, for anyone.
)

// watchEvery is how often the lanes are looked over: a fifth of staleAfter.
const watchEvery = staleAfter / 5

// watch looks over the lanes until ctx ends, so that nothing slow holds up the slot or the limit of all.
func (p *dispatcher) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.lookOver(now)
		}
	}
}

// lookOver spills what is unsettled for too long, and closes lanes that have had nothing to do for long.
func (p *dispatcher) lookOver(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	freed := false
	for id, l := range p.lanes {
		if l.running == 0 && len(l.queue) == 0 {
			if now.Sub(l.finished) > max(idleLane, l.pace.every) && l.pace.timer == nil && l.unsaved == 0 {
				l.client.CloseIdle()
				delete(p.lanes, id)
			}
			continue
		}
		if p.spillFlight(l, now) {
			freed = true
			p.wait(l, now)
			p.kickFor(l)
		}
		if l.stale(now) {
			p.spillQueue(l, func(*delivery) bool { return true })
		} else if l.waitedSince(now) > queuedTooLong {
			p.spillQueue(l, func(d *delivery) bool { return now.Sub(d.queued) > queuedTooLong })
		}
	}
	if freed {
		p.startWaiting(now)
	}
}

// spillFlight takes requests that are in flight for too long off the limit of all and the window of their lane, and has those that came down
// the stream written down. The list is in order of start.
func (p *dispatcher) spillFlight(l *lane, now time.Time) (freed bool) {
	for d := l.oldest; d != nil && now.Sub(d.started) > staleAfter; d = d.newer {
		if !d.counted {
			continue
		}
		d.counted = false
		l.counted--
		p.counted--
		freed = true
		if !d.doubted {
			d.doubted = true
			p.doubted++
		}
		p.slowDown(d)
		if !d.claimed && !d.spilled {
			d.spilled = true
			p.unowned--
			p.spill(d, spillInFlight)
		}
	}
	return freed
}

// spillQueue has what waits in a lane and is too old written down. What was claimed is in the database already; its lease
// ends soon enough for it to wait.
func (p *dispatcher) spillQueue(l *lane, tooOld func(*delivery) bool) {
	for _, d := range l.takeQueue() {
		if d.claimed || !tooOld(d) {
			l.push(d)
			continue
		}
		d.spilled = true
		p.unowned--
		p.spill(d, spillUnsent)
		p.releaseLocked(d)
	}
	p.owe(l)
}

// startWaiting gives freed places to the lanes that wait.
func (p *dispatcher) startWaiting(now time.Time) {
	for {
		l, d := p.take(now)
		if d == nil {
			return
		}
		p.workers.Add(1)
		go p.work(l, d)
	}
}

// setBacklog notes that the database holds deliveries for a lane.
func (p *dispatcher) setBacklog(id uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owe(p.lane(id))
}

func (p *dispatcher) owe(l *lane) {
	if !l.backlog {
		l.backlog = true
		p.backlogs = append(p.backlogs, l)
	}
}

// forgetBacklogs forgets what setBacklog noted: the database is about to be asked. A lane that went on believing in a
// backlog would wake the claimer with each of its requests.
func (p *dispatcher) forgetBacklogs() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.backlogs {
		l.backlog = false
	}
	p.backlogs = nil
}

// mayTake says whether a lane can take anything from the database now.
func (p *dispatcher) mayTake(id uuid.UUID) bool {
	p.mu.Lock()
	own := p.lane(id).limits
	p.mu.Unlock()
	return p.roomFor(id, own) > 0
}

// roomFor says how many deliveries a lane can take from the database now, under the limits that its subscription has.
func (p *dispatcher) roomFor(id uuid.UUID, own limits) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.limited(id, own)
	now := time.Now()
	if p.stopped || p.slow > slowBytes && l.running > 0 || p.slow > l.mayHold() {
		return 0
	}
	if l.pace.every == 0 && len(l.queue) > 0 && l.queue[0].claimed {
		return 0 // What was claimed before has not had its turn.
	}
	room := l.roomForClaimed(p.laneLimit)
	if room <= 0 && !l.stale(now) && len(l.queue) <= laneQueueLength {
		room = min(max(1, l.window/4), l.shareOfClaimed(p.laneLimit)) // Busy with the stream, but moving: some go before what waits in its queue.
	}
	if l.pace.every > 0 {
		if room = min(room, l.pace.within(now, len(l.queue))); room <= 0 {
			p.wakeLater(l, now)
		}
	}
	if p.slow > slowBytes {
		room = min(room, 1)
	}
	return max(0, min(room, p.free(l, true)))
}

// inDoubt says whether what is claimed for a lane now may well hang; roomInDoubt how many such requests more there may be, of all lanes
// together.
func (p *dispatcher) inDoubt(id uuid.UUID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lane(id).inDoubt(true)
}

func (p *dispatcher) roomInDoubt() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.connections/2-p.doubted)
}

// heavy says whether what was claimed, or hangs, is as much as it should be; overladen whether it is more than most.
func (p *dispatcher) heavy() bool { return p.overladen(slowBytes) }

func (p *dispatcher) overladen(most int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slow > most
}
