package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// campaign is one kind of fault, made many times.
type campaign struct {
	name string
	doc  string
	run  func(ctx context.Context, r *rig) error
}

// campaigns are all, in the order in which they run.
var campaigns = []*campaign{
	killRelay, killAtPoints, stopRelay, stopPostgres,
	cutPostgres, cutReceivers, loseSlot, promote, fullDisk,
	pauseLeader, bigTransaction, clock, clone, fewFiles, idleOutbox, allHang, comesBack, hostile,
}

// mostTime bounds a campaign of the short profile, so that one that hangs does not keep the others from running. Those of
// the long one take as long as they take.
const mostTime = 5 * time.Minute

// errSkip says that a campaign can't be run on this machine.
type errSkip string

func (e errSkip) Error() string { return string(e) }

// execute runs a campaign and returns what it found. Whatever keeps it from its end is a failure.
func (c *campaign) execute(ctx context.Context, o *options, b binaries) *result {
	if !o.long {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, mostTime)
		defer cancel()
	}
	began := time.Now()
	r, err := newRig(c, o, b)
	if err != nil {
		return &result{Campaign: c.name, Seed: o.seed, Problems: []string{err.Error()}}
	}
	err = c.run(ctx, r)
	var skip errSkip
	switch {
	case errors.As(err, &skip):
		r.result.Skipped = string(skip)
	case err != nil:
		r.problem("%v", err)
	}
	if r.cluster != nil && !r.result.passed() {
		_ = os.WriteFile(r.path("postgres.log"), []byte(r.cluster.LogTail()), 0o600) // Beside the rest, for whoever looks.
	}
	if err := r.close(); err != nil {
		r.problem("%v", err)
	}
	r.result.Took = time.Since(began)
	switch {
	case !r.result.passed():
		r.result.Evidence = r.dir
	case !o.keep:
		_ = os.RemoveAll(r.dir)
	}
	return r.result
}

// did says in words what was done; where it was less than planned, that too.
func (r *rig) did(n, planned int, format string, args ...any) {
	r.result.Did = fmt.Sprintf(format, args...)
	if n == 0 {
		r.problem("no fault was made")
	}
	if n < planned {
		r.result.Did += fmt.Sprintf(" (of %d planned: the time was up)", planned)
	}
}
