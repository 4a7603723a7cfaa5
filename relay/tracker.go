package relay

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
)

// tracker knows which transactions of the stream are settled: everything that came of them stands in the database. The
// slot may be confirmed up to the end of the last one that is settled together with all before it.
//
// Begin, commit and reset are for the tailer alone; add and settle may be called by anyone.
type tracker struct {
	mu       sync.Mutex
	open     []*transaction // In commit order; settled ones leave at the front.
	position pglogrepl.LSN  // The end of the last settled transaction.
}

// transaction counts what is still to be recorded of one transaction.
type transaction struct {
	xid     uint32
	commit  pglogrepl.LSN // Where its commit record begins: Begin's final LSN.
	end     pglogrepl.LSN // Where it ends, the position to confirm; 0 until the commit was read.
	pending atomic.Int64

	committedAt time.Time // On the server's clock.
	ended       atomic.Bool
}

func (t *tracker) begin(xid uint32, commit pglogrepl.LSN, at time.Time) *transaction {
	tx := &transaction{xid: xid, commit: commit, committedAt: at}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = append(t.open, tx)
	return tx
}

func (t *tracker) commit(tx *transaction, end pglogrepl.LSN) {
	tx.end = end
	tx.ended.Store(true)
}

func (tx *transaction) add(n int) { tx.pending.Add(int64(n)) }

// settle notes that one of the things that came of the transaction stands in the database. A nil transaction is that of a delivery
// which the database owns.
func (tx *transaction) settle() {
	if tx != nil {
		tx.pending.Add(-1)
	}
}

// settled returns the position that may be confirmed, and whether nothing is open beyond it.
func (t *tracker) settled() (position pglogrepl.LSN, drained bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.open) && t.open[n].ended.Load() && t.open[n].pending.Load() == 0 {
		t.position = max(t.position, t.open[n].end)
		t.open[n] = nil
		n++
	}
	t.open = t.open[n:]
	if len(t.open) == 0 {
		t.open = nil // Let go of the array.
	}
	return t.position, len(t.open) == 0
}

// reset forgets all transactions: the stream ended, and begins again at position.
func (t *tracker) reset(position pglogrepl.LSN) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.position = nil, position
}
