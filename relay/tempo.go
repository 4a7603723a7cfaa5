package relay

import "time"

const (
	// tempoSpan is how long a lane is watched before its tempo is told: some dozen requests of a quick receiver.
	tempoSpan = 10 * time.Millisecond

	// tempoStale is how long a lane may do nothing before its tempo is forgotten.
	tempoStale = 100 * time.Millisecond

	// quickTempo is the tempo, in deliveries a second, from which on the stream waits for a full lane, whoever else has nothing
	// to do. Writing down and taking up again goes at some thousands a second: who waits behind a quick lane gains little
	// by it, and the lane loses half.
	quickTempo = 4000
)

// tempo tells how many deliveries a second the stream brings if it waits for a lane whenever that is full: as many as the lane
// finishes, over the lane's share of what the stream brings. It falls by half a span at most, so that a moment in which the
// machine is busy does not count. The zero value is ready. Guarded by the dispatcher's lock.
type tempo struct {
	since   time.Time
	ended   int // Requests of the lane that ended since then.
	offered int // Deliveries that the stream offered it since then; one that was waited with counts again.
	before  int // What the stream had offered all lanes by then.
	last    float64
}

// tell brings the tempo up to date; all is what the stream has offered all lanes so far.
func (t *tempo) tell(now time.Time, all int) {
	span := now.Sub(t.since)
	if span < tempoSpan {
		return
	}
	fresh := float64(t.ended) / span.Seconds() * float64(all-t.before) / float64(max(t.offered, 1))
	if t.last = max(fresh, t.last/2); span > tempoStale {
		t.last = 0
	}
	t.since, t.ended, t.offered, t.before = now, 0, 0, all
}

// quick says whether the stream had better wait for the lane than have its deliveries written down.
func (t *tempo) quick() bool { return t.last >= quickTempo }
