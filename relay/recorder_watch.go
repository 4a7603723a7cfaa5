package relay

import "time"

// recorderWatch tells whether outcomes have waited to be written for so long that their leases may have run out, as when
// the database was away: to claim then would be to send again what was sent just now. The zero value is ready; for one
// goroutine.
type recorderWatch struct {
	mark  progress  // Stands for what the recorder had been handed by then.
	since time.Time // When that was.
	state watchState
}

type watchState int

const (
	keepsUp    watchState = iota // All that is older than the mark is written, or the mark is young.
	isBehind                     // What was handed over before the mark is not written.
	catchingUp                   // That is; the mark now stands for what came meanwhile.
)

// behind says whether nothing should be claimed. It is asked at least every half second: a request ends with recordSlack
// or more left of its lease.
func (w *recorderWatch) behind(r *recorder, now time.Time) bool {
	if !r.passed(w.mark) {
		if w.state == keepsUp && now.Sub(w.since) > recordSlack/2 {
			w.state = isBehind
		}
		return w.state != keepsUp
	}
	w.mark, w.since = r.mark(), now
	if w.state == isBehind {
		w.state = catchingUp
	} else {
		w.state = keepsUp
	}
	return w.state != keepsUp
}
