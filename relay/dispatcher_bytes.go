package relay

const (
	// streamBytes bounds the bodies that came down the stream and are not settled: the tailer waits while more is held.
	streamBytes = 16 << 20

	// slowBytes bounds the bodies held by requests that the database owns, hanging ones above all. Beyond it, lanes that
	// have something in flight get nothing more of that kind, and others one at a time.
	slowBytes = 24 << 20

	// heldByAll is as much as may be held so in any case; heldByAnswering the same for lanes whose last request was answered.
	heldByAll       = 2 * slowBytes
	heldByAnswering = 3 * slowBytes
)

// hold counts n deliveries and the body that they need.
func (p *dispatcher) hold(e *event, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.holders += n
	p.held += e.size + int64(n)*deliveryBytes
}

// releaseN notes that n deliveries, which never came to a lane, are no more.
func (p *dispatcher) releaseN(e *event, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.releaseLocked(&delivery{event: e})
	}
}

// release notes that a delivery needs its body no longer.
func (p *dispatcher) release(d *delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releaseLocked(d)
}

func (p *dispatcher) releaseLocked(d *delivery) {
	p.freed(d.slow, deliveryBytes)
	e := d.event
	if e.holders--; e.holders == 0 {
		e.body = nil
		p.freed(e.slow, e.size)
	}
	p.signal()
}

func (p *dispatcher) freed(slow bool, size int64) {
	if slow {
		p.slow -= size
	} else {
		p.held -= size
	}
}

// slowDown counts a delivery and its body as held by slow requests.
func (p *dispatcher) slowDown(d *delivery) {
	move := func(slow *bool, size int64) {
		if !*slow {
			*slow = true
			p.held -= size
			p.slow += size
		}
	}
	move(&d.slow, deliveryBytes)
	move(&d.event.slow, d.event.size)
	p.signal()
}

// overfull says whether the tailer should take no more from the stream for now.
func (p *dispatcher) overfull() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begging = p.held > streamBytes
	return p.begging
}
