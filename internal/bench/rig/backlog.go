package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// drainWithin is how long a backlog may take. What is not there by then will not come.
const drainWithin = 90 * time.Second

// Backlog is events that were committed while no relay ran.
type Backlog struct {
	Events  int      // How many.
	Batch   int      // Events in each transaction; 0: one.
	Payload string   // Of each; "": Payload.
	Matches int      // Subscriptions that each event is delivered to; 0: one.
	Relays  int      // Relays that run; 0: one.
	Env     []string // Further settings of the relays.
}

func (w *Backlog) setDefaults() {
	w.Batch, w.Matches, w.Relays = max(w.Batch, 1), max(w.Matches, 1), max(w.Relays, 1)
	if w.Payload == "" {
		w.Payload = Payload
	}
}

// Drain commits a backlog in db while no relay runs, starts one and waits until all is delivered and recorded. The
// database has its subscriptions already; its slot is made anew, so that no WAL of other databases is read.
func (r *Rig) Drain(ctx context.Context, db *Database, work Backlog) (s rounds.Sample, err error) {
	work.setDefaults()
	if err := r.InitRelay(ctx, db); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.DropSlot(ctx)) }()
	since, err := db.clock(ctx)
	if err != nil {
		return s, err
	}
	if err := db.Insert(ctx, work.Events, work.Batch, work.Payload); err != nil {
		return s, err
	}
	return r.deliver(ctx, db, work.Events*work.Matches, func() (all Programs, err error) {
		for range work.Relays {
			relay, err := r.StartRelay(db, work.Env...)
			if err != nil {
				return all, errors.Join(err, all.Stop())
			}
			all = append(all, relay.Program)
		}
		return all, nil
	}, func(ctx context.Context) error { return db.waitRecorded(ctx, since, work.Events*work.Matches) })
}

// deliver starts programs and waits until so many requests have come in and recorded returns. CPU times are from the
// start until then.
func (r *Rig) deliver(ctx context.Context, db *Database, requests int,
	start func() (Programs, error), recorded func(context.Context) error,
) (s rounds.Sample, err error) {
	if err := db.Checkpoint(ctx); err != nil {
		return s, err
	}
	if err := r.Receiver.Reset(ctx, requests); err != nil {
		return s, err
	}
	before, err := r.cpu()
	if err != nil {
		return s, err
	}
	started := time.Now()
	programs, err := start()
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, programs.Stop()) }()
	if err := r.waitDelivered(ctx, programs, requests); err != nil {
		return s, err
	}
	if err := recorded(ctx); err != nil {
		return s, programs.failure(err)
	}
	after, err := r.cpu()
	if err != nil {
		return s, err
	}
	got, err := r.Receiver.Arrived(ctx)
	if err != nil {
		return s, err
	}
	s = rounds.Sample{
		Rate: got.Rate(), Count: requests, Twice: len(got) - requests, Start: time.Unix(0, got[0].At).Sub(started),
		Postgres: after.postgres - before.postgres, Receiver: after.receiver - before.receiver,
	}
	s.Sender, s.PeakBytes, err = programs.usage()
	return s, err
}

// servers is the CPU time that those have taken who serve relays and peers alike.
type servers struct{ postgres, receiver time.Duration }

func (r *Rig) cpu() (s servers, err error) {
	if s.postgres, err = r.Cluster.CPUTime(); err != nil {
		return s, err
	}
	s.receiver, err = cpuTime(r.Receiver.PID())
	return s, err
}

// waitDelivered waits until count requests have come in.
func (r *Rig) waitDelivered(ctx context.Context, programs Programs, count int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, drainWithin, fmt.Errorf("not delivered within %s", drainWithin))
	defer cancel()
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	for _, p := range programs {
		go func() {
			select {
			case <-p.exited:
				ended(errors.New("a program ended"))
			case <-ctx.Done():
			}
		}()
	}
	if err := r.Receiver.Await(ctx, count); err != nil {
		return programs.failure(err)
	}
	return nil
}
