//go:build unix

package demo

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ledger is what the host app knows to be true, kept apart from the database: which events it committed, and which it
// rolled back. Any number of goroutines may use it.
type ledger struct {
	mu         sync.Mutex
	committed  map[uuid.UUID]time.Time // When COMMIT returned.
	rolledBack map[uuid.UUID]struct{}
	arrived    map[uuid.UUID]struct{} // At the healthy subscriber, before COMMIT had returned here.
	delays     []time.Duration        // The last ones from commit to arrival.
	oldest     int                    // Of delays, once they are all there.
}

// keptDelays is how many deliveries the percentiles on the screen are of.
const keptDelays = 1000

func newLedger() *ledger {
	return &ledger{
		committed:  make(map[uuid.UUID]time.Time),
		rolledBack: make(map[uuid.UUID]struct{}),
		arrived:    make(map[uuid.UUID]struct{}),
	}
}

func (l *ledger) commit(ids ...uuid.UUID) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.committed[id] = now
		if _, early := l.arrived[id]; early {
			delete(l.arrived, id)
			l.delay(0)
		}
	}
}

func (l *ledger) rollBack(ids ...uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.rolledBack[id] = struct{}{}
	}
}

// arrive notes the first arrival of an event at the healthy subscriber.
func (l *ledger) arrive(id uuid.UUID, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if committed, ok := l.committed[id]; ok {
		l.delay(at.Sub(committed))
	} else {
		l.arrived[id] = struct{}{}
	}
}

func (l *ledger) delay(d time.Duration) {
	if len(l.delays) < keptDelays {
		l.delays = append(l.delays, d)
		return
	}
	l.delays[l.oldest] = d
	l.oldest = (l.oldest + 1) % keptDelays
}

// counts returns how many events were committed and how many rolled back.
func (l *ledger) counts() (committed, rolledBack int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.committed), len(l.rolledBack)
}

// percentiles returns the median and the 99th percentile of the last deliveries; false if there were none.
func (l *ledger) percentiles() (p50, p99 time.Duration, ok bool) {
	l.mu.Lock()
	sorted := slices.Clone(l.delays)
	l.mu.Unlock()
	if len(sorted) == 0 {
		return 0, 0, false
	}
	slices.Sort(sorted)
	return sorted[(len(sorted)-1)*50/100], sorted[(len(sorted)-1)*99/100], true
}

// missing returns how many committed events are not among those received.
func (l *ledger) missing(received map[uuid.UUID]int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for id := range l.committed {
		if received[id] == 0 {
			n++
		}
	}
	return n
}

// phantoms returns how many of the received events were not committed.
func (l *ledger) phantoms(received map[uuid.UUID]int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for id := range received {
		if _, ok := l.committed[id]; !ok {
			n++
		}
	}
	return n
}
