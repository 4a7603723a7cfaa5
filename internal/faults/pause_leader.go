package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

var pauseLeader = &campaign{
	name: "pause-leader",
	doc:  "two relays; the one that leads is stopped by SIGSTOP until the other has taken over, and goes on later",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		var both [2]*relayProcess
		for i := range both {
			var err error
			if both[i], err = r.start(ctx); err != nil {
				return err
			}
		}
		r.writer.start(r.random, eventsPerSecond)
		pauses, lasts := r.count(2, 50), 60*time.Second
		if !r.long {
			lasts = 20 * time.Second
		}
		n := 0
		for ; n < pauses && r.more(ctx); n++ {
			if err := r.awaitLoad(ctx, 100+r.random.IntN(300)); err != nil {
				return err
			}
			if err := r.pauseLeader(ctx, both[:], lasts); err != nil {
				return err
			}
		}
		r.did(n, pauses, "paused the leader of two relays %d times for %s", n, lasts)
		return r.settle(ctx)
	},
}

// pauseLeader stops the relay that leads, sees the other take over, and lets the first go on: its late results change nothing.
func (r *rig) pauseLeader(ctx context.Context, both []*relayProcess, lasts time.Duration) error {
	leader, err := r.leader(ctx, both)
	if err != nil {
		return err
	}
	if err := r.accounted(ctx); err != nil { // What the one that was paused before has sent since.
		return err
	}
	if err := leader.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { _ = leader.cmd.Process.Signal(syscall.SIGCONT) }()
	began := time.Now()
	pause(ctx, 300*time.Millisecond) // What it had asked the database for is done by then, and the other waits for longer.
	unrecorded, err := r.addUntold(ctx)
	if err != nil {
		return err
	}
	r.result.leave(unrecorded, len(r.receivers))
	if err := r.recovered(ctx, began, recoverWithin); err != nil {
		return err
	}
	pause(ctx, lasts-time.Since(began))
	if err := leader.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
		return err
	}
	_, err = r.leader(ctx, both)
	return err
}

// leader returns the one relay that leads; it is an error if both say that they do.
func (r *rig) leader(ctx context.Context, both []*relayProcess) (leader *relayProcess, err error) {
	err = await(ctx, 30*time.Second, "one relay leads and the other stands by", func() (bool, error) {
		leader = nil
		for _, p := range both {
			status, body := p.readiness(ctx)
			if status != 200 {
				return false, nil
			}
			if body == "relaying\n" || body == "relaying" {
				if leader != nil {
					return false, nil
				}
				leader = p
			}
		}
		return leader != nil, nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %v", err, r.readiness(ctx, both))
	}
	return leader, err
}

func (r *rig) readiness(ctx context.Context, all []*relayProcess) (says []string) {
	for _, p := range all {
		_, body := p.readiness(ctx)
		says = append(says, body)
	}
	return says
}
