package wire

import (
	"sync"
	"time"
)

// origin is where a connection leads to.
type origin struct {
	https   bool
	address string // Host and port, as dialled.
}

// pool holds the connections that are not in use, of each origin the longest idle first. The zero value is ready.
type pool struct {
	mu     sync.Mutex
	idle   map[origin][]*conn
	sweep  *time.Timer // Closes what has been idle for too long; nil where nothing is idle.
	budget *Budget     // Knows of it as long as sweep is set.
}

// get takes the connection that came back last, or nil.
func (p *pool) get(to origin) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[to]
	n := len(conns)
	if n == 0 {
		return nil
	}
	c := conns[n-1]
	conns[n-1] = nil
	p.idle[to] = conns[:n-1]
	return c
}

// put keeps c for use again, where there is room.
func (p *pool) put(c *conn, now time.Time, timeout time.Duration, limit int) {
	c.idleSince = now
	p.mu.Lock()
	conns := p.idle[c.origin]
	full := len(conns) >= limit
	if !full {
		if p.idle == nil {
			p.idle = make(map[origin][]*conn)
		}
		p.idle[c.origin] = append(conns, c)
		if p.sweep == nil {
			p.sweep = time.AfterFunc(timeout, func() { p.closeOlder(timeout) })
			p.budget = c.budget
			p.budget.hold(p)
		}
	}
	p.mu.Unlock()
	if full {
		c.close()
	}
}

// closeOlder closes what has been idle for longer than timeout, and comes back when the next will have been.
func (p *pool) closeOlder(timeout time.Duration) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	next := time.Duration(-1)
	for to, conns := range p.idle {
		old := 0
		for ; old < len(conns) && now.Sub(conns[old].idleSince) >= timeout; old++ {
			conns[old].close()
		}
		if old == len(conns) {
			delete(p.idle, to)
			continue
		}
		p.idle[to] = append([]*conn(nil), conns[old:]...)
		if left := timeout - now.Sub(conns[old].idleSince); next < 0 || left < next {
			next = left
		}
	}
	if next < 0 {
		p.sweep = nil
		p.budget.drop(p)
		return
	}
	p.sweep.Reset(next)
}

// closeAll closes what is idle.
func (p *pool) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conns := range p.idle {
		for _, c := range conns {
			c.close()
		}
	}
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
		p.sweep = nil
		p.budget.drop(p)
	}
}

// closeOldest closes the connection of some origin that has been idle for longest; it reports whether there was one. The
// caller holds the lock.
func (p *pool) closeOldest() bool {
	for to, conns := range p.idle {
		if len(conns) > 0 {
			conns[0].close()
			p.idle[to] = append([]*conn(nil), conns[1:]...)
			return true
		}
	}
	return false
}
