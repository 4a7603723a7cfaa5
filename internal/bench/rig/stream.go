package rig

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/internal/bench/receiver"
)

// writers is how many connections commit events: enough for 1,000 commits a second on a disk that takes 5 ms for each.
const writers = 8

// warmUp comes before what counts: connections are made, statements prepared, caches filled.
const warmUp = 2 * time.Second

// Stream is events committed at a steady rate.
type Stream struct {
	Rate    int // Events a second.
	Lasting time.Duration
}

// counts is how many events come before those that count, and how many there are in all.
func (s Stream) counts() (warm, count int) {
	warm = int(warmUp.Seconds() * float64(s.Rate))
	return warm, warm + int(s.Lasting.Seconds()*float64(s.Rate))
}

// Delays are how long events took from the return of their COMMIT to their arrival, sorted.
type Delays []time.Duration

// Observe commits events at a steady rate and returns how long each took to arrive. It waits for the last.
func (r *Rig) Observe(ctx context.Context, db *Database, work Stream) (Delays, error) {
	Say("  %d events/s for %s", work.Rate, work.Lasting)
	warm, count := work.counts()
	if err := r.Receiver.Reset(ctx, count); err != nil {
		return nil, err
	}
	committed, err := db.commitSteadily(ctx, count, work.Rate)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("not all %d events arrived", count))
	defer cancel()
	if err := r.Receiver.Await(ctx, count); err != nil {
		return nil, err
	}
	return r.delays(ctx, committed[warm:])
}

// delays waits until all of these have arrived: of the requests so far, some may have been of events that came again, such as
// a peer's that was stopped before it could mark them as sent.
func (r *Rig) delays(ctx context.Context, commits []commit) (Delays, error) {
	for {
		got, err := r.Receiver.Arrived(ctx)
		if err != nil {
			return nil, err
		}
		all, missing := match(commits, got)
		if missing == nil {
			return all, nil
		}
		select {
		case <-ctx.Done():
			return nil, missing
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// commit is an event and when its COMMIT returned.
type commit struct {
	id uuid.UUID
	at time.Time
}

// commitSteadily commits count events, each in a transaction of its own, on the beat of a clock: a slow commit delays no
// other as long as a writer is free.
func (db *Database) commitSteadily(ctx context.Context, count, rate int) ([]commit, error) {
	commits := make([]commit, count)
	turns := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	var ready sync.WaitGroup
	for range writers {
		ready.Add(1)
		group.Go(func() error { return db.write(ctx, commits, turns, &ready) })
	}
	group.Go(func() error {
		defer close(turns)
		ready.Wait()
		started := time.Now()
		for i := range count {
			time.Sleep(time.Until(started.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			select {
			case turns <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("commit events: %w", err)
	}
	return commits, nil
}

func (db *Database) write(ctx context.Context, commits []commit, turns <-chan int, ready *sync.WaitGroup) error {
	conn, err := db.Pool.Acquire(ctx)
	ready.Done()
	if err != nil {
		return err
	}
	defer conn.Release()
	for i := range turns {
		id := uuid.Must(uuid.NewV7())
		if _, err := conn.Exec(ctx, `INSERT INTO outbox.events (id, type, user_id, payload) VALUES ($1, $2, $3, $4)`,
			id, EventType, "42", Payload); err != nil {
			return err
		}
		commits[i] = commit{id: id, at: time.Now()}
	}
	return nil
}

// match pairs commits with arrivals; of an event that came twice, the first counts.
func match(commits []commit, got receiver.Arrivals) (Delays, error) {
	first := make(map[uuid.UUID]int64, len(got))
	for _, a := range got {
		if _, again := first[a.ID]; !again {
			first[a.ID] = a.At
		}
	}
	all := make(Delays, len(commits))
	for i, c := range commits {
		at, ok := first[c.id]
		if !ok {
			return nil, fmt.Errorf("event %s did not arrive", c.id)
		}
		all[i] = time.Duration(at - c.at.UnixNano())
	}
	slices.Sort(all)
	return all, nil
}

// Percentile is in milliseconds.
func (d Delays) Percentile(p float64) float64 { return float64(d.at(p)) / float64(time.Millisecond) }

func (d Delays) at(p float64) time.Duration { return d[int(float64(len(d)-1)*p/100)] }
