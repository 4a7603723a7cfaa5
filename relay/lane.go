package relay

import (
	"time"

	"github.com/google/uuid"
)

const (
	// firstWindow is how many requests a lane may have in flight at first; each completion allows one more. Small, so
	// that a URL that hangs is found out with little in its hands; doubling each round trip, it is soon at the limit.
	firstWindow = 8

	// guaranteedInFlight is what a lane may have in flight even when all lanes together are at the limit, so that a few
	// slow URLs can't use up everybody's share.
	guaranteedInFlight = 2

	// laneQueueLength bounds what waits in a lane: four times the default window, some milliseconds of a quick receiver.
	laneQueueLength = 256

	// laneQueueBytes and laneFlightBytes bound the same by size; one delivery is always let through.
	laneQueueBytes  = 2 << 20
	laneFlightBytes = 4 << 20

	// staleAfter is how long a delivery may be unsettled before it is written down and no longer holds up the slot, and
	// how long a lane may finish nothing before it counts as stale. Well above a slow answer, well below a timeout.
	staleAfter = 500 * time.Millisecond

	// queuedTooLong is how long a delivery from the stream may wait in a lane: a full queue of a lane whose requests are not
	// slow themselves takes no longer. In one that hangs, what was claimed may go before it again and again.
	queuedTooLong = 4 * staleAfter
)

// lane sends to one subscription: a short queue, and a bounded number of requests in flight. All its fields are guarded
// by the dispatcher's lock.
type lane struct {
	id     uuid.UUID
	client *Client

	queue      []*delivery
	queueBytes int64
	queues     *int // How many lanes have something in their queue.

	running      int // Requests in flight, spilled ones included.
	runningBytes int64
	claimed      int // Those that the database owns since before they were begun.
	counted      int // Those that count against the limit of all, and against the window; the others hang.
	unsaved      int // Those that have their outcome, and it does not stand in the database yet.
	window       int // How many may be in flight now, beside those that hang.
	oldest       *delivery
	newest       *delivery

	limits limits // The subscription's own, as last seen.
	pace   pace
	tempo  tempo

	finished time.Time // When a request last ended, or when the lane was last empty.
	waiting  bool      // Stands in the dispatcher's list of lanes that wait for the limit of all.

	answers answers // What the last attempt told of the URL.
	backlog bool    // The database holds deliveries that this lane may be able to take.
}

// most is how many requests may be in flight; standard is what holds where the subscription says nothing.
func (l *lane) most(standard int) int {
	if l.limits.concurrency > 0 {
		return l.limits.concurrency
	}
	return standard
}

// hasRoom says whether the lane's own limits, but for its pace, allow one more request. Those that hang leave the window to others.
func (l *lane) hasRoom(standard int) bool {
	return l.counted < l.window && l.running < l.most(standard) && (l.running == 0 || l.runningBytes < laneFlightBytes)
}

// roomForClaimed is how many more may be in flight of what the database owns. An eighth of the lane is left to the stream: where retries
// hang, and there are enough of them, what is new would have to wait for their timeouts.
func (l *lane) roomForClaimed(standard int) int {
	return min(l.window-l.counted, l.most(standard)-l.running, l.shareOfClaimed(standard))
}

// shareOfClaimed is the same where the stream leaves no room: it has no more right to the lane than the rest of what the database owns.
func (l *lane) shareOfClaimed(standard int) int {
	most := l.most(standard)
	return most - most/8 - l.claimed
}

// queueFull says whether nothing more of this size may wait.
func (l *lane) queueFull(size int64) bool {
	return len(l.queue) >= laneQueueLength || len(l.queue) > 0 && l.queueBytes+size > laneQueueBytes
}

// stale says whether the lane hangs: its oldest request is old and nothing has finished for as long.
func (l *lane) stale(now time.Time) bool {
	return l.oldest != nil && now.Sub(l.oldest.started) > staleAfter && now.Sub(l.finished) > staleAfter
}

// hangs says whether its oldest request has taken so long that the database owns it.
func (l *lane) hangs() bool { return l.oldest != nil && l.oldest.spilled }

// waitedSince says how long the delivery from the stream that has waited longest has; 0 where none waits.
func (l *lane) waitedSince(now time.Time) time.Duration {
	for _, d := range l.queue {
		if !d.claimed {
			return now.Sub(d.queued)
		}
	}
	return 0
}

// answers is whether a URL answers.
type answers int

const (
	unknown answers = iota
	answering
	silent
)

// inDoubt says whether a request may well hang: others of the lane do, the last one got no answer, or nothing is known and the
// delivery comes from the database, as those do that had no answer before.
func (l *lane) inDoubt(claimed bool) bool {
	return l.running > l.counted || l.answers == silent || l.answers == unknown && claimed
}

// mayHold is how much may be held by what was claimed, of all lanes together, for this one to get any of it. Those that answer have
// a share of their own.
func (l *lane) mayHold() int64 {
	if l.answers == answering {
		return heldByAnswering
	}
	return heldByAll
}

func (l *lane) push(d *delivery) {
	if len(l.queue) == 0 {
		*l.queues++
	}
	l.queue = append(l.queue, d)
	l.queueBytes += d.event.size
}

func (l *lane) pushFront(d *delivery) {
	if len(l.queue) == 0 {
		*l.queues++
	}
	l.queue = append(l.queue, nil)
	copy(l.queue[1:], l.queue)
	l.queue[0] = d
	l.queueBytes += d.event.size
}

func (l *lane) pop() *delivery {
	d := l.queue[0]
	l.queue[0] = nil // What was popped must not be held.
	l.queue = l.queue[1:]
	if len(l.queue) == 0 {
		l.queue = nil
		*l.queues--
	}
	l.queueBytes -= d.event.size
	return d
}

// takeQueue empties the queue and returns what was in it.
func (l *lane) takeQueue() []*delivery {
	q := l.queue
	if len(q) > 0 {
		*l.queues--
	}
	l.queue, l.queueBytes = nil, 0
	return q
}

// start puts a delivery at the end of the list of requests in flight.
func (l *lane) start(d *delivery, now time.Time) {
	if l.running == 0 {
		l.finished = now
	}
	d.started = now
	l.pace.spend(now)
	d.older, d.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = d
	} else {
		l.oldest = d
	}
	l.newest = d
	l.running++
	l.runningBytes += d.event.size
	if d.counted {
		l.counted++
	}
	if d.claimed {
		l.claimed++
	}
}

// end takes a delivery out of the list.
func (l *lane) end(d *delivery, now time.Time) {
	if d.older != nil {
		d.older.newer = d.newer
	} else {
		l.oldest = d.newer
	}
	if d.newer != nil {
		d.newer.older = d.older
	} else {
		l.newest = d.older
	}
	d.older, d.newer = nil, nil
	l.running--
	l.runningBytes -= d.event.size
	if d.counted {
		l.counted--
	}
	if d.claimed {
		l.claimed--
	}
	l.finished = now
}
