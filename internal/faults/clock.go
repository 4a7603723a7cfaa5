package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	// clockJump is how far the database's clock jumps.
	clockJump = time.Hour
	// mostInFlight is delivery.concurrency.
	mostInFlight = 512
)

var clock = &campaign{
	name: "clock",
	doc:  "the database's clock jumps an hour forward and back (libfaketime in Postgres; the relay's own clock can't be faked)",
	run: func(ctx context.Context, r *rig) error {
		library := fakeTimeLibrary()
		if library == "" {
			return errSkip("libfaketime is not installed (Debian: package libfaketime), or name the library in FAKETIME_LIBRARY")
		}
		set := func(offset time.Duration) error {
			return os.WriteFile(r.path("clock"), fmt.Appendf(nil, "%+d\n", int(offset.Seconds())), 0o644)
		}
		if err := set(0); err != nil {
			return err
		}
		// The server alone is started with this; it goes by the file, and looks into it once a second.
		restore := setEnvironment(map[string]string{
			"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": r.path("clock"), "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
		})
		err := r.startPostgres(ctx, "")
		restore()
		if err == nil {
			err = r.setUp(ctx)
		}
		if err != nil {
			return err
		}
		if _, err := r.subscribe(ctx, "slow", slow, "user.*"); err != nil { // So that requests are in flight at the jumps.
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
			offset := clockJump
			if n%2 == 1 {
				offset = 0
			}
			if err := set(offset); err != nil {
				return err
			}
			if err := r.awaitClock(ctx, offset); err != nil {
				return err
			}
			if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
				return err
			}
		}
		// What was put off on a clock that was then set back waits for as much longer: the last jump is forward.
		if err := set(clockJump + time.Minute); err != nil {
			return err
		}
		// A jump forward ends all leases at once: what is in flight then is taken up again. Nothing else may come twice.
		r.result.Bound = mostInFlight * (n/2 + 1)
		r.result.note("bound: %d in flight at each jump forward, the last one before the count included", mostInFlight)
		r.did(n, jumps, "set the database's clock an hour forward or back %d times", n)
		return r.settle(ctx)
	},
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
