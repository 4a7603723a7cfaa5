package wire

import (
	"sync"
	"sync/atomic"
)

// Budget bounds how many connections several transports have open together, since each is an open file. Where one more is
// needed, an idle one is closed, of whichever transport has one. Where all are in use it is made all the same: who bounds
// the exchanges that run at once bounds those. Several goroutines may use it.
type Budget struct {
	limit int64
	open  atomic.Int64

	mu    sync.Mutex
	pools map[*pool]struct{} // Those that may hold idle connections.
}

// NewBudget returns a budget of so many connections.
func NewBudget(limit int) *Budget {
	return &Budget{limit: int64(limit), pools: make(map[*pool]struct{})}
}

// take counts a connection that is about to be made. A nil budget has no bound.
func (b *Budget) take() {
	if b != nil && b.open.Add(1) > b.limit {
		b.closeIdle()
	}
}

// give counts a connection that is no more.
func (b *Budget) give() {
	if b != nil {
		b.open.Add(-1)
	}
}

// hold notes that a pool may hold idle connections; drop that it holds none. Both are called under the pool's lock.
func (b *Budget) hold(p *pool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.pools[p] = struct{}{}
	b.mu.Unlock()
}

func (b *Budget) drop(p *pool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	delete(b.pools, p)
	b.mu.Unlock()
}

// closeIdle closes idle connections, as many as are too many, or as there are. Everywhere else a pool is locked before the budget,
// so it passes over one that is busy at the moment; what it leaves is for the next.
func (b *Budget) closeIdle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.pools {
		if !p.mu.TryLock() {
			continue
		}
		for b.open.Load() > b.limit && p.closeOldest() {
		}
		p.mu.Unlock()
		if b.open.Load() <= b.limit {
			return
		}
	}
}
