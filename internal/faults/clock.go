package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// clockJump is how far the database's clock jumps.
const clockJump = time.Hour

var clock = &campaign{
	name: "clock",
	doc:  "the database's clock jumps an hour forward and back (libfaketime in Postgres; the relay's own clock can't be faked)",
	run: func(ctx context.Context, r *rig) error {
		library := fakeTimeLibrary()
		if library == "" {
			return errSkip("libfaketime is not installed (Debian: package libfaketime), or name the library in FAKETIME_LIBRARY")
		}
		if err := r.setClock(0); err != nil {
			return err
		}
		// The server alone is started with this. Each look at the clock is one into the file: all its processes jump at once.
		restore := setEnvironment(map[string]string{
			"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": r.path("clock"), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
		})
		err := r.startPostgres(ctx, "")
		restore()
		if err == nil {
			err = r.setUp(ctx)
		}
		if err != nil {
			return err
		}
		// So that requests are in flight at the jumps, and some of them under leases.
		if _, err := r.subscribe(ctx, "slow", slow, "user.*"); err != nil {
			return err
		}
		if _, err := r.subscribe(ctx, "hanging", hanging, "order.refunded"); err != nil {
			return err
		}
		if _, err := r.start(ctx); err != nil {
			return err
		}
		r.writer.start(r.random, pointsPerSecond)
		jumps, n := r.count(4, 20), 0
		for ; n < jumps && r.more(ctx); n++ {
			if err := r.awaitLoad(ctx, 200); err != nil {
				return err
			}
			jump, offset := r.jumpForward, clockJump
			if n%2 == 1 {
				jump, offset = r.jump, 0
			}
			if err := jump(ctx, offset); err != nil {
				return err
			}
			if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
				return err
			}
		}
		// What was put off on a clock that was then set back waits for as much longer: the last jump is forward.
		if err := r.jumpForward(ctx, clockJump+time.Minute); err != nil {
			return err
		}
		r.result.note("bound: what was leased at the jumps forward, the last one before the count included")
		r.did(n, jumps, "set the database's clock an hour forward or back %d times", n)
		return r.settle(ctx)
	},
}

// setClock sets the server's clock to so much more than ours. The file is replaced, so that nobody finds it half written.
func (r *rig) setClock(offset time.Duration) error {
	next := r.path("clock.next")
	if err := os.WriteFile(next, fmt.Appendf(nil, "%+d\n", int(offset.Seconds())), 0o644); err != nil {
		return err
	}
	return os.Rename(next, r.path("clock"))
}

func (r *rig) jump(ctx context.Context, offset time.Duration) error {
	if err := r.setClock(offset); err != nil {
		return err
	}
	return r.awaitClock(ctx, offset)
}

// leasedSQL finds what somebody has in hand: what waits for its next attempt has the token of the last lease, and is due when that is.
const leasedSQL = `SELECT id FROM outbox.deliveries WHERE lease IS NOT NULL AND due_at IS NOT NULL AND due_at IS DISTINCT FROM next_attempt_at`

// jumpForward is jump, which ends all leases at once here: what is leased then is taken up again, though it is in flight. Nothing else
// may come twice. Leases are looked for before the jump and after it, since a statement that is under way goes by the old clock.
func (r *rig) jumpForward(ctx context.Context, offset time.Duration) error {
	leased := make(map[uuid.UUID]struct{})
	look := func() error {
		return r.with(ctx, func(conn *pgx.Conn) error {
			ids, err := readIDs(ctx, conn, leasedSQL)
			maps.Copy(leased, ids)
			return err
		})
	}
	if err := look(); err != nil {
		return err
	}
	if err := r.jump(ctx, offset); err != nil {
		return err
	}
	err := look()
	r.result.Bound += len(leased)
	return err
}

// awaitClock waits until new sessions of the server have the time so far from ours.
func (r *rig) awaitClock(ctx context.Context, offset time.Duration) error {
	return await(ctx, 20*time.Second, "the server's clock has jumped", func() (bool, error) {
		var now time.Time
		r.disconnect()
		err := r.query(ctx, `SELECT clock_timestamp()`, nil, &now)
		return err == nil && (time.Until(now)-offset).Abs() < time.Minute, nil
	})
}

func fakeTimeLibrary() string {
	if path := os.Getenv("FAKETIME_LIBRARY"); path != "" {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1") // The pattern is a good one.
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// setEnvironment sets variables of this process, which those that it starts inherit, and returns what takes them back.
func setEnvironment(values map[string]string) (restore func()) {
	for name, value := range values {
		_ = os.Setenv(name, value)
	}
	return func() {
		for name := range values {
			_ = os.Unsetenv(name)
		}
	}
}
