package relay

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// idleLane is how long a lane is kept with nothing to do: its connections are closed long before.
const idleLane = time.Minute

// verdict is what became of an offer.
type verdict int

const (
	taken   verdict = iota // On its way or in the queue.
	busy                   // The lane is full and moving: worth waiting for, where that keeps nobody else waiting.
	quick                  // The lane is full, and so quick that nobody loses by waiting for it.
	hanging                // The lane is full and stale: write the delivery down.
)

// dispatcher owns the lanes and shares the limit of all requests in flight out among them. One lock guards it all: each
// delivery takes it three or four times for some hundred nanoseconds.
type dispatcher struct {
	limit, laneLimit int
	connections      int // In flight at most, hanging ones included, as the limit on open files allows; no fewer than 2.
	newClient        func() *Client
	attempt          func(*Client, *delivery)   // Sends one, blocks; sets the outcome.
	record           func(*delivery)            // Hands it to the recorder; may block. Saved is called once it is written, unless it was aborted.
	spill            func(*delivery, spillKind) // Has it written down as pending; never blocks.
	kick             func()                     // Wakes the claimer.

	workers sync.WaitGroup
	room    chan struct{} // Has an element when the tailer may find room again.

	mu      sync.Mutex
	lanes   map[uuid.UUID]*lane
	waiting []*lane // Lanes with a queue that wait for the limit of all, first come first served.
	queues  int     // Lanes with something in their queue.
	running int     // Requests in flight.
	counted int     // Those that count against the limit of all.
	unsaved int     // Requests that have their outcome, did not hang, and it does not stand in the database yet. They count as well.
	doubted int     // Those that hang, or were begun in doubt.
	held    int64   // Bytes of bodies and deliveries, without slow.
	slow    int64   // Bytes of bodies in slow requests, and of those requests.
	stopped bool
	begging bool // The tailer waits for room.
	unowned int  // Deliveries of the stream that are in a lane and not written down.
	offered int  // How often offer was called.

	backlogs []*lane // Lanes for which the database holds deliveries.
}

// lane returns the lane of a subscription, made on first use.
func (p *dispatcher) lane(id uuid.UUID) *lane {
	l := p.lanes[id]
	if l == nil {
		l = &lane{id: id, client: p.newClient(), window: firstWindow, finished: time.Now(), queues: &p.queues}
		p.lanes[id] = l
	}
	return l
}

// laneOf returns a delivery's lane, with the limits that its subscription has now.
func (p *dispatcher) laneOf(d *delivery) *lane {
	return p.limited(d.sub.id, d.sub.limits)
}

func (p *dispatcher) limited(id uuid.UUID, now limits) *lane {
	l := p.lane(id)
	if l.limits != now {
		l.limits = now
		l.window = min(l.window, l.most(p.laneLimit))
		l.pace.set(l.limits.rate)
	}
	return l
}

// inFlight returns how many requests are in flight.
func (p *dispatcher) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.lanes {
		n += l.running
	}
	return n
}

// queued returns how many lanes have something in their queue.
func (p *dispatcher) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queues
}

// offer puts a delivery from the stream on its way.
func (p *dispatcher) offer(d *delivery) verdict {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.laneOf(d)
	l.tempo.tell(now, p.offered)
	l.tempo.offered++
	p.offered++
	switch {
	case len(l.queue) == 0 && p.mayStart(l, false, now):
		p.begin(l, d, now)
	case l.pace.wait(now, len(l.queue)) > paceHorizon:
		return hanging // Waiting for it would be in vain.
	case l.stale(now) || p.slow > slowBytes && l.hangs():
		return hanging
	case l.queueFull(d.event.size):
		p.begging = true
		if l.tempo.quick() {
			return quick
		}
		return busy
	default:
		d.queued = now
		l.push(d)
		p.wait(l, now)
	}
	p.unowned++
	return taken
}

// startClaimed puts a delivery from the database on its way, before what waits in its lane.
func (p *dispatcher) startClaimed(d *delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	l := p.laneOf(d)
	p.slowDown(d)
	if p.mayStart(l, true, now) {
		p.begin(l, d, now)
		return
	}
	l.pushFront(d)
	p.wait(l, now)
}

// mayStart says whether the limits allow a lane one more request, for a delivery that was claimed or is of the stream.
func (p *dispatcher) mayStart(l *lane, claimed bool, now time.Time) bool {
	if !claimed && p.slow > slowBytes && l.hangs() {
		return false // Memory is for others.
	}
	return !p.stopped && l.hasRoom(p.laneLimit) && l.pace.wait(now, 0) <= 0 && p.free(l, claimed) > 0
}

// free is how many requests more a lane may begin by the limits of all. Those that have ended count until that stands in the database:
// should this process die, they are made again, and so the limit, or what is guaranteed to each lane, bounds what is sent twice. The
// stream leaves an eighth of the connections to what is claimed, which would never have its turn on a busy relay else; and those in
// doubt share one half, so that they never have all.
func (p *dispatcher) free(l *lane, claimed bool) int {
	n := max(p.limit-p.counted-p.unsaved, guaranteedInFlight-l.counted-l.unsaved)
	if l.inDoubt(claimed) {
		n = min(n, p.leftInDoubt(l))
	}
	left := p.connections - p.running
	if !claimed {
		left -= p.connections / 8
	}
	return min(n, left)
}

// leftInDoubt is how many requests in doubt there may be more. A part is left to lanes that have nothing in flight.
func (p *dispatcher) leftInDoubt(l *lane) int {
	left := p.connections/2 - p.doubted
	if l.running > 0 {
		left -= p.connections / 16
	}
	return left
}

// wait puts a lane that has room of its own in the list of those that wait for the limit of all. One that only its pace
// holds back is looked at again when its turn comes.
func (p *dispatcher) wait(l *lane, now time.Time) {
	if l.waiting || len(l.queue) == 0 || !l.hasRoom(p.laneLimit) {
		return
	}
	if l.pace.wait(now, 0) > 0 {
		p.wakeLater(l, now)
		return
	}
	l.waiting = true
	p.waiting = append(p.waiting, l)
}

// wakeLater sees to it that a paced lane goes on when its turn comes, with what waits in it or in the database.
func (p *dispatcher) wakeLater(l *lane, now time.Time) {
	if l.pace.timer != nil || p.stopped {
		return
	}
	l.pace.timer = time.AfterFunc(max(l.pace.wait(now, 0), paceSlack), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		now := time.Now()
		l.pace.timer = nil
		p.wait(l, now)
		p.startWaiting(now)
		if l.backlog && !p.stopped {
			p.kick()
		}
	})
}

// begin sends a delivery from a goroutine of its own.
func (p *dispatcher) begin(l *lane, d *delivery, now time.Time) {
	p.enter(l, d, now)
	p.workers.Add(1)
	go p.work(l, d)
}

func (p *dispatcher) enter(l *lane, d *delivery, now time.Time) {
	d.counted = true
	p.counted++
	p.running++
	d.lane = l
	if d.doubted = l.inDoubt(d.claimed); d.doubted {
		p.doubted++
	}
	l.start(d, now)
}

// work sends a delivery and then whatever is next, until nothing is.
func (p *dispatcher) work(l *lane, d *delivery) {
	defer p.workers.Done()
	for d != nil {
		p.attempt(l.client, d)
		p.finish(d)
		p.record(d)
		l, d = p.next(l, d)
	}
}

// finish ends a request: it has its outcome, which from now on is the recorder's to write. Whoever sent it may wait for the
// recorder; that is not the URL's doing.
func (p *dispatcher) finish(d *delivery) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	l := d.lane
	if d.counted {
		p.counted--
		if d.unsaved = !d.outcome.Aborted; d.unsaved {
			p.unsaved++
			l.unsaved++
		}
	}
	p.running--
	if d.doubted {
		p.doubted--
	}
	l.end(d, now)
	l.tempo.tell(now, p.offered)
	l.tempo.ended++
	switch {
	case d.outcome.Answered():
		l.answers = answering
		l.window = min(l.window+1, l.most(p.laneLimit))
	case !d.outcome.Aborted: // Nothing was learnt of the URL then.
		l.answers = silent
		l.window = min(max(l.window/2, firstWindow), l.most(p.laneLimit))
	}
	p.releaseLocked(d)
	p.wait(l, now)
}

// saved notes that the outcomes of these requests stand in the database.
func (p *dispatcher) saved(all []*delivery) {
	if len(all) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	full := p.counted+p.unsaved >= p.limit
	now := time.Now()
	for _, d := range all {
		if !d.unsaved {
			continue
		}
		d.unsaved = false
		l := d.lane
		hadNone := p.free(l, true) <= 0
		p.unsaved--
		l.unsaved--
		p.wait(l, now)
		if hadNone {
			p.kickFor(l) // It may have room again by what is guaranteed to it, though there is none for others.
		}
	}
	p.startWaiting(now)
	if full && len(p.backlogs) > 0 && p.counted+p.unsaved < p.limit {
		p.kick()
	}
}

// next notes that the recorder has a delivery's outcome, and returns what the same goroutine sends now.
func (p *dispatcher) next(l *lane, d *delivery) (*lane, *delivery) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !d.spilled && !d.claimed {
		p.unowned--
	}
	p.kickFor(l)
	p.wait(l, now)
	nextLane, nextDelivery := p.take(now)
	for nextDelivery != nil { // A window that has grown has room for more than one.
		other, more := p.take(now)
		if more == nil {
			break
		}
		p.workers.Add(1)
		go p.work(other, more)
	}
	p.signalRoom(l)
	return nextLane, nextDelivery
}

// kickFor wakes the claimer where the database holds deliveries for a lane, and half of its window is free for them.
func (p *dispatcher) kickFor(l *lane) {
	if l.backlog && l.counted <= l.window/2 && l.roomForClaimed(p.laneLimit) > 0 && p.free(l, true) > 0 {
		p.kick()
	}
}

// take picks the next delivery of the lane that waits longest.
func (p *dispatcher) take(now time.Time) (*lane, *delivery) {
	if p.running >= p.connections {
		return nil, nil // As often as not with thousands that wait.
	}
	for n := len(p.waiting); n > 0; n-- {
		l := p.waiting[0]
		p.waiting[0] = nil
		p.waiting = p.waiting[1:]
		l.waiting = false
		if len(l.queue) == 0 {
			continue
		}
		if !p.mayStart(l, l.queue[0].claimed, now) {
			p.wait(l, now) // At the end, should it have room of its own.
			continue
		}
		d := l.pop()
		p.enter(l, d, now)
		p.wait(l, now)
		return l, d
	}
	return nil, nil
}

// signalRoom wakes the tailer once a full lane's queue is half empty.
func (p *dispatcher) signalRoom(l *lane) {
	if p.begging && len(l.queue) <= laneQueueLength/2 {
		p.signal()
	}
}

func (p *dispatcher) signal() {
	if p.begging {
		select {
		case p.room <- struct{}{}:
		default:
		}
	}
}

// clear empties a lane's queue and returns what waited in it. For a subscription that is no more.
func (p *dispatcher) clear(id uuid.UUID) []*delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[id]
	if l == nil {
		return nil
	}
	q := l.takeQueue()
	p.unown(q)
	p.signal()
	return q
}

func (p *dispatcher) unown(q []*delivery) {
	for _, d := range q {
		if !d.claimed {
			p.unowned--
		}
	}
}

// dropQueues forgets what waits in the lanes: what came down a stream, which will bring it again, and where claimedToo what is
// leased from the database, which is returned so that it can be given back.
func (p *dispatcher) dropQueues(claimedToo bool) (claimed []*delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		for _, d := range l.takeQueue() {
			if d.claimed && !claimedToo {
				l.push(d)
				continue
			}
			if d.claimed {
				claimed = append(claimed, d)
			} else {
				p.unowned--
			}
			p.releaseLocked(d)
		}
	}
	return claimed
}

// stop lets nothing more begin.
func (p *dispatcher) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for _, l := range p.lanes {
		if l.pace.timer != nil && l.pace.timer.Stop() {
			l.pace.timer = nil
		}
	}
}

// owned says whether nothing from the stream is left in a lane that is not written down.
func (p *dispatcher) owned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unowned == 0
}

// closeIdle closes connections that nothing uses.
func (p *dispatcher) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		l.client.CloseIdle()
	}
}
