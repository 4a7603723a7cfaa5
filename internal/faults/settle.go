package main

import (
	"context"
	"fmt"
	"time"
)

// settleWithin is how long it may take after the last fault until all that was committed has come and is recorded: a
// delivery that a killed relay had leased waits for delivery.timeout and 6 s.
const settleWithin = 60 * time.Second

// settle stops the writer, waits until nothing more should come, stops the relays, and takes the verdict.
func (r *rig) settle(ctx context.Context) error {
	r.writer.stop()
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if err := r.writer.resolve(ctx, conn); err != nil {
		return err
	}
	began := time.Now()
	if err := r.awaitAll(ctx); err != nil {
		r.problem("%v", err) // The oracle says what is missing.
	}
	r.result.Settling = time.Since(began)
	for _, p := range r.processes {
		if !p.ended() {
			if _, err := p.stop(); err != nil {
				r.problem("%v", err)
			}
		}
	}
	e, err := r.gather(ctx)
	if err != nil {
		return err
	}
	r.result.verdict = *judge(e)
	return nil
}

// awaitAll waits until every receiver that can be reached has all it should have, and the log says so.
func (r *rig) awaitAll(ctx context.Context) error {
	var reachable []string
	for _, rec := range r.receivers {
		if rec.reachable() {
			reachable = append(reachable, r.ids[rec])
		}
	}
	const dueSQL = `SELECT count(*) FROM outbox.deliveries WHERE due_at IS NOT NULL AND subscription_id = ANY($1::text[]::uuid[])`
	const doneSQL = `SELECT count(*) FROM outbox.deliveries WHERE subscription_id = $1::text::uuid AND NOT starts_with(event_type, 'old.')`
	return await(ctx, settleWithin, "all is delivered and recorded", func() (bool, error) {
		pause(ctx, 50*time.Millisecond)
		for _, rec := range r.receivers {
			if distinct, _ := rec.counts(); rec.reachable() && distinct < r.writer.matching(rec.patterns) {
				return false, nil
			}
		}
		var due int
		if err := r.query(ctx, dueSQL, []any{reachable}, &due); err != nil || due > 0 {
			return false, nil
		}
		for _, rec := range r.receivers {
			var rows int
			if err := r.query(ctx, doneSQL, []any{r.ids[rec]}, &rows); err != nil || !rec.optional && rows < r.writer.lasting(rec.patterns) {
				return false, nil
			}
		}
		return true, nil
	})
}

// gather reads the journals back from their files, and the database's log.
func (r *rig) gather(ctx context.Context) (*evidence, error) {
	conn, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	e := &evidence{replaced: r.result.replaced}
	if e.events, err = readWritten(r.writer.journal.path); err != nil {
		return nil, err
	}
	if e.inTable, err = readIDs(ctx, conn, "SELECT id FROM outbox.events"); err != nil {
		return nil, err
	}
	if e.inApp, err = readIDs(ctx, conn, "SELECT event_id FROM app_rows"); err != nil {
		return nil, err
	}
	for _, rec := range r.receivers {
		w := &watched{name: rec.name, patterns: rec.patterns, reachable: rec.reachable(), optional: rec.optional}
		if w.arrived, err = readArrived(rec.journal.path); err != nil {
			return nil, err
		}
		if w.log, err = readLog(ctx, conn, r.ids[rec]); err != nil {
			return nil, fmt.Errorf("%s: %w", rec.name, err)
		}
		e.receivers = append(e.receivers, w)
	}
	return e, nil
}

// reachable says whether a receiver should have got everything by the end.
func (r *receiver) reachable() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now != hanging && !r.optional
}

// lasting is matching without what the retention removes.
func (w *writer) lasting(patterns []string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, typ := range w.committed {
		if matches(patterns, typ) && !expiring(typ) {
			n++
		}
	}
	return n
}

func (w *writer) closeJournal() error { return w.journal.close() }
