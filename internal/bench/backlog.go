package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// backlog is events that were committed while no relay ran.
type backlog struct {
	name  string   // Of its database.
	path  string   // Of the receiver.
	count int      // Events.
	batch int      // Events in each transaction.
	env   []string // Further settings of the relay.
}

// drained is what it took to deliver a backlog.
type drained struct {
	rate        float64       // Deliveries a second, from the first receipt to the last.
	start       time.Duration // From the start of the process to the first receipt.
	count       int
	twice       int           // Requests beyond one for each event.
	relayCPU    time.Duration // From the start of the process until all outcomes were recorded.
	postgresCPU time.Duration // The same.
	relayPeak   int64         // Bytes.
}

func (d *drained) note() string {
	note := fmt.Sprintf("%s events, the first %s after the start", thousands(int64(d.count)), d.start.Round(time.Millisecond))
	if d.twice > 0 {
		note += fmt.Sprintf("; %d sent twice", d.twice)
	}
	return note
}

// drainBacklog sets up a relay, commits a backlog while it is not running, starts it and waits until all is delivered
// and recorded.
func drainBacklog(ctx context.Context, b *bench, work backlog) (d drained, err error) {
	say("draining: %s events to %s", thousands(int64(work.count)), work.path)
	db, err := b.newDatabase(ctx, work.name)
	if err != nil {
		return d, err
	}
	defer db.close()
	if err := b.initRelay(ctx, db); err != nil {
		return d, err
	}
	if err := db.subscribe(ctx, "receiver", b.receiver.url(work.path)); err != nil {
		return d, err
	}
	if err := db.insert(ctx, work.count, work.batch); err != nil {
		return d, err
	}
	if err := b.receiver.reset(ctx, work.count); err != nil {
		return d, err
	}
	return b.deliver(ctx, db, work)
}

// deliver starts a relay and waits until the backlog is delivered and recorded.
func (b *bench) deliver(ctx context.Context, db *database, work backlog) (d drained, err error) {
	postgresBefore, err := b.cluster.CPUTime()
	if err != nil {
		return d, err
	}
	started := time.Now()
	relay, err := b.startRelay(db, work.env...)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, b.endRelay(ctx, relay, db)) }()

	got, err := relay.waitDelivered(ctx, b.receiver, work.count)
	if err != nil {
		return d, err
	}
	if err := db.waitRecorded(ctx, work.count); err != nil {
		return d, err
	}
	d = drained{rate: got.rate(), start: time.Unix(0, got[0].At).Sub(started), count: work.count}
	if d.relayCPU, err = cpuTime(relay.pid()); err != nil {
		return d, err
	}
	if d.relayPeak, err = peakBytes(relay.pid()); err != nil {
		return d, err
	}
	postgresAfter, err := b.cluster.CPUTime()
	d.postgresCPU = postgresAfter - postgresBefore
	if got, err = b.receiver.arrivals(ctx); err == nil {
		d.twice = len(got) - got.distinct()
	}
	return d, err
}

// drainWithin is how long a backlog may take. What is not there by then will not come.
const drainWithin = 90 * time.Second

// waitDelivered waits until count requests have come in.
func (r *relayProcess) waitDelivered(ctx context.Context, receiver *receiverProcess, count int) (arrivals, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainWithin, fmt.Errorf("not delivered within %s", drainWithin))
	defer cancel()
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	go func() {
		select {
		case <-r.exited:
			ended(errors.New("relay ended"))
		case <-ctx.Done():
		}
	}()
	got, err := receiver.wait(ctx, count)
	if err != nil {
		return nil, r.failure(err)
	}
	return got, nil
}

// endRelay stops a relay and removes what it keeps in the cluster.
func (b *bench) endRelay(ctx context.Context, relay *relayProcess, db *database) error {
	return errors.Join(relay.stop(), db.dropSlot(ctx))
}
