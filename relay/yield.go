package relay

import (
	"time"

	"github.com/outboxrelay/relay/internal/store"
)

const (
	// freshFor is how long after the database came back the relay that led before may need to take the lead again.
	freshFor = 5 * time.Second

	// yieldFor is how long the lead is left to that relay, which may be gone: it tries again every retryAtMost at the latest, and
	// writes down first what it had in hand.
	yieldFor = 4 * time.Second
)

// yielding tells a relay that stands by when to leave a free slot to the one that led before. Where the database went away and
// came back, that one most likely lives, has requests in flight and outcomes to write, and whoever else reads the stream sends all
// of those again. Where the leader alone went away, nothing is waited for; nor is by a relay that has just been started. The zero
// value is ready; for one goroutine.
type yielding struct {
	standsBy  bool      // Another relay had the slot when this one last looked.
	cut       time.Time // When this relay last found the database away.
	freeSince time.Time // Zero: the slot is not known to be free.
}

// took notes that this relay reads the stream.
func (y *yielding) took() { *y = yielding{} }

// taken notes that another relay has the slot.
func (y *yielding) taken() { *y = yielding{standsBy: true, cut: y.cut} }

// lost notes that the database could not be worked with.
func (y *yielding) lost(now time.Time) { y.cut, y.freeSince = now, time.Time{} }

// yields says whether to leave the slot, which is free, to another relay. A leader that ended in order has said how far it
// read, and left nothing.
func (y *yielding) yields(now time.Time, slot *store.Slot, state *store.State) bool {
	if !y.standsBy {
		return false
	}
	if y.freeSince.IsZero() {
		y.freeSince = now
	}
	fresh := slot != nil && slot.ServerUp < freshFor || !y.cut.IsZero() && now.Sub(y.cut) < freshFor
	y.standsBy = slot != nil && state != nil && state.Read == 0 && fresh && now.Sub(y.freeSince) < yieldFor
	return y.standsBy // Once it has had a go itself it waits for nobody, until another has the slot.
}
