package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// filesLimit is how many files the relay may have open.
	filesLimit = 128
	// slowReceivers take slowFor each, so that the relay would have hundreds of connections open.
	slowReceivers = 8
)

var fewFiles = &campaign{
	name: "few-files",
	doc:  "a relay that may open 128 files, beside receivers that would take hundreds of connections",
	run: func(ctx context.Context, r *rig) error {
		r.settings = []string{"RELAY_DELIVERY_RETRY_MAX=1000"}
		if err := r.setUp(ctx); err != nil {
			return err
		}
		for n := range slowReceivers {
			if _, err := r.subscribe(ctx, fmt.Sprintf("slow-%d", n), slow, "user.*"); err != nil {
				return err
			}
		}
		p, err := r.launchUnder(filesLimit)
		if err != nil {
			return err
		}
		if err := p.awaitReady(ctx); err != nil {
			return err
		}
		r.writer.start(r.random, pointsPerSecond)
		lasts, most := time.Duration(r.count(10, 300))*time.Second, 0
		for until := time.Now().Add(lasts); time.Now().Before(until) && r.more(ctx); pause(ctx, 200*time.Millisecond) {
			most = max(most, p.files())
		}
		r.writer.stop()
		if p.ended() {
			return fmt.Errorf("the relay ended: %s", p.cmd.ProcessState)
		}
		if err := r.recovered(ctx, time.Now(), settleWithin); err != nil {
			return err
		}
		if err := r.awaitAll(ctx); err != nil {
			r.problem("%v", err)
		}
		pause(ctx, 6*time.Second) // Idle connections are closed after 4 s.
		left := p.files()
		if left > 40 {
			r.problem("%d files are open after all is done", left)
		}
		r.did(1, 1, "ran for %s with at most %d open files, %d receivers that answer after %s", lasts, filesLimit, slowReceivers, slowFor)
		r.result.note("%d files open at most, %d when all was done", min(most, filesLimit), left)
		return r.settle(ctx)
	},
}

// files counts the files that a process has open.
func (p *relayProcess) files() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(entries)
}
