package relay

import (
	"context"
	"time"
)

// drainSlack is what is left at a stop, after the requests, for the last outcomes and for giving back what was not sent.
const drainSlack = 5 * time.Second

// drain lets requests in flight end and has their outcomes recorded. Those of a subscription whose own timeout is longer
// than delivery.timeout are broken off: nobody waits an hour for a stop.
func (r *Relay) drain(endWork context.CancelFunc) {
	limit, cancel := context.WithTimeout(context.Background(), r.cfg.Delivery.Timeout+drainSlack)
	defer cancel()
	defer r.dispatch.closeIdle()
	r.dispatch.stop()
	for _, d := range r.dispatch.dropQueues(true) {
		r.claimer.giveBack(d)
	}
	done := make(chan struct{})
	go func() { r.dispatch.workers.Wait(); close(done) }()
	select {
	case <-done:
	case <-limit.Done():
		if r.recorder.failed.Load() {
			r.recorder.abandon() // Workers wait for a database that takes no writes.
		}
	}
	endWork()
	last, cancel := context.WithTimeout(context.Background(), drainSlack)
	defer cancel()
	select {
	case <-done:
	case <-last.Done():
		r.recorder.abandon() // It has not even failed yet.
		return
	}
	for !r.recorder.idle() && last.Err() == nil { // A database that was away may be back before the recorder's next try.
		sleep(last, 5*time.Millisecond)
	}
	releasing, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := r.claimer.release(releasing); err != nil {
		r.log.Warn("could not give back what was not sent; it waits for its lease to end", "error", explain(err))
	}
}
