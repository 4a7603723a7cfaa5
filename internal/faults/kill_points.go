package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/failpoint"
)

// reachedWithin is how long a relay may take to a point. The janitor that the retention's points need looks every 10 s.
const reachedWithin = 40 * time.Second

// pointsPerSecond is what the host app writes meanwhile: some points are slow to reach, and the outbox is scanned again and
// again.
const pointsPerSecond = 150

// oldEvents are written for the retention's points: more than it removes in its first batches.
const oldEvents = 300

var killAtPoints = &campaign{
	name: "kill-at-points",
	doc:  "kill -9 of the relay at each named point between two steps (internal/failpoint/points.go)",
	run: func(ctx context.Context, r *rig) error {
		r.settings = []string{"RELAY_DELIVERY_TIMEOUT=1s"} // Or each stop would wait for what hangs.
		if err := r.setUp(ctx); err != nil {
			return err
		}
		if _, err := r.subscribe(ctx, "hanging", hanging, "order.refunded"); err != nil {
			return err
		}
		if _, err := r.subscribe(ctx, "slow", slow, "user.*"); err != nil { // As in kill-relay.
			return err
		}
		toggled, err := r.subscribe(ctx, "toggled", steady, "user.*")
		if err != nil {
			return err
		}
		toggled.optional = true
		toggling, stopToggling := context.WithCancel(ctx)
		defer stopToggling()
		go r.toggle(toggling, toggled)
		r.writer.start(r.random, pointsPerSecond)

		points := slices.DeleteFunc(slices.Clone(failpoint.Points), func(p failpoint.Point) bool {
			chosen, err := path.Match(r.points, p.Name)
			return err != nil || !chosen
		})
		rounds, n := r.count(1, 10), 0
		for range rounds {
			for _, p := range r.shuffled(points) {
				if !r.more(ctx) {
					break
				}
				if err := r.killAt(ctx, p); err != nil {
					return fmt.Errorf("%s: %w", p.Name, err)
				}
				n++
			}
		}
		if n < len(points) {
			r.problem("there was no time for %d of the points", len(points)-n)
		}
		stopToggling()
		if _, err := r.start(ctx); err != nil {
			return err
		}
		r.did(n, rounds*len(points), "killed %d times at %d named points, and each time once more after it had recovered, under %d events/s",
			n, min(n, len(points)), pointsPerSecond)
		r.result.note("at most %d unrecorded at one kill, beside what hung", r.result.MostAtOnce)
		return r.settle(ctx)
	},
}

// shuffled puts points in a random order, those that begin without a slot first: a scan of the outbox makes good what was lost
// before it, and nobody would see that.
func (r *rig) shuffled(points []failpoint.Point) []failpoint.Point {
	var scanned, others []failpoint.Point
	for _, i := range r.random.Perm(len(points)) {
		if p := points[i]; p.Scene == failpoint.NoSlot || p.Scene == failpoint.Unused {
			scanned = append(scanned, p)
		} else {
			others = append(others, p)
		}
	}
	return append(scanned, others...)
}

// killAt sets a point's scene, lets a relay die there, and has another one recover.
func (r *rig) killAt(ctx context.Context, p failpoint.Point) error {
	if err := r.setScene(ctx, p.Scene); err != nil {
		return err
	}
	logged, err := os.Stat(r.path("relay.log"))
	var before int64
	if err == nil {
		before = logged.Size()
	}
	nth := 1
	if p.Scene == failpoint.Load && (strings.HasPrefix(p.Name, "tailer/after-row") || strings.HasPrefix(p.Name, "sender/")) {
		nth += r.random.IntN(40) // Others are too rare, or come once in a stream.
	}
	relay, err := r.launch(r.binaries.tagged, fmt.Sprintf("FAILPOINT=%s@%d", p.Name, nth))
	if err != nil {
		return err
	}
	if p.Scene == failpoint.Stop {
		if err := r.recovered(ctx, relay.began, recoverWithin); err != nil {
			return err
		}
		_ = relay.cmd.Process.Signal(syscall.SIGTERM) // What it ends of is looked at below.
	}
	select {
	case <-relay.exited:
	case <-time.After(reachedWithin):
	case <-ctx.Done():
		return ctx.Err()
	}
	log, err := os.ReadFile(r.path("relay.log"))
	if err != nil {
		return fmt.Errorf("read the relay's log: %w", err)
	}
	if relay.diedOf() != syscall.SIGKILL || !strings.Contains(string(log[before:]), "failpoint: reached "+p.Name+",") {
		r.problem("point %s was not reached within %s", p.Name, reachedWithin)
		_ = relay.cmd.Process.Signal(syscall.SIGQUIT) // What it is at goes into its log.
		pause(ctx, time.Second)
		relay.kill()
	}
	if err := r.killed(ctx); err != nil {
		return err
	}
	next, err := r.launch(r.binaries.relay)
	if err != nil {
		return err
	}
	if err := r.recovered(ctx, next.began, recoverWithin); err != nil {
		return err
	}
	if err := r.accounted(ctx); err != nil {
		return err
	}
	next.kill() // An end in order would take as long as what hangs.
	return r.killed(ctx)
}

// setScene prepares what a point needs beside the load that there always is. No relay runs.
func (r *rig) setScene(ctx context.Context, scene failpoint.Scene) error {
	switch scene {
	case failpoint.NoSlot:
		return r.exec(ctx, `SELECT pg_drop_replication_slot('relay')`)
	case failpoint.Unused:
		if err := r.exec(ctx, `SELECT pg_drop_replication_slot('relay')`); err != nil {
			return err
		}
		return r.exec(ctx, `DROP PUBLICATION relay`)
	case failpoint.Retention:
		return r.writeOld(ctx, oldEvents)
	}
	return nil
}

// writeOld commits events that are older than the retention, which must be delivered before they go.
func (r *rig) writeOld(ctx context.Context, n int) error {
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	facts := make([]fact, n)
	var b pgx.Batch
	for i := range facts {
		facts[i] = newFact(r.random, "old.thing")
		b.Queue(`INSERT INTO outbox.events (id, type, payload, created_at) VALUES ($1, $2, $3, now() - interval '40 days')`,
			facts[i].id, facts[i].typ, facts[i].payload)
		b.Queue(`INSERT INTO app_rows VALUES ($1, 0)`, facts[i].id)
	}
	r.writer.note(wordIntent, facts)
	if err := conn.SendBatch(ctx, &b).Close(); err != nil { // One transaction.
		return fmt.Errorf("write old events: %w", err)
	}
	r.writer.note(wordCommitted, facts)
	return nil
}

// toggle switches a subscription off and on until ctx ends, and leaves it on.
func (r *rig) toggle(ctx context.Context, rec *receiver) {
	const flip = `UPDATE outbox.subscriptions SET active = $2 WHERE id = $1::text::uuid`
	for active := false; ; active = !active {
		pause(ctx, 120*time.Millisecond)
		if ctx.Err() != nil {
			_ = r.exec(context.WithoutCancel(ctx), flip, r.ids[rec], true)
			return
		}
		_ = r.exec(ctx, flip, r.ids[rec], active) // The next one will do.
	}
}
