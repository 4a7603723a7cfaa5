package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// mostMemory is what the relay may take whatever the size of a transaction, in bytes.
const mostMemory = 128 << 20

var bigTransaction = &campaign{
	name: "big-transaction",
	doc:  "one transaction with very many events, and kill -9 of the relay while it is read",
	run: func(ctx context.Context, r *rig) error {
		if err := r.prepare(ctx, "wal_sender_timeout=10s"); err != nil {
			return err
		}
		if _, err := r.subscribe(ctx, "all", steady, "*"); err != nil {
			return err
		}
		events, kills, n := r.count(200_000, 1_000_000), r.count(2, 5), 0
		if err := r.writeBig(ctx, events); err != nil {
			return err
		}
		var peak int64
		for ; n < kills && r.more(ctx); n++ {
			p, err := r.launch(r.binaries.relay)
			if err != nil {
				return err
			}
			if err := r.awaitLoad(ctx, events/(kills+2)); err != nil {
				return err
			}
			if hwm, err := p.memory("VmHWM"); err == nil {
				peak = max(peak, hwm)
			}
			if err := r.accounted(ctx); err != nil {
				return err
			}
			p.kill()
			if err := r.killed(ctx); err != nil {
				return err
			}
		}
		p, err := r.start(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := await(ctx, 10*time.Minute, "the rest is delivered", func() (bool, error) {
			distinct, _ := r.all().counts()
			return distinct >= events, nil
		}); err != nil {
			r.problem("%v", err)
		}
		rest := time.Since(began)
		if hwm, err := p.memory("VmHWM"); err == nil {
			peak = max(peak, hwm)
		}
		if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
			return err
		}
		if peak > mostMemory {
			r.problem("the relay took %d MiB, %d MiB are allowed", peak>>20, mostMemory>>20)
		}
		r.did(n, kills, "%s events in one transaction, killed %d times while it was read", thousands(events), n)
		r.result.note("at most %d unrecorded at one kill, peak memory %d MiB, the last relay delivered the rest in %s", r.result.MostAtOnce, peak>>20, round(rest))
		return r.settle(ctx)
	},
}

// writeBig commits so many small events in one transaction.
func (r *rig) writeBig(ctx context.Context, n int) error {
	facts := make([]fact, n)
	for i := range facts {
		f := fact{id: uuid.Must(uuid.NewV7()), typ: "invoice.line.added", payload: fmt.Sprintf(`{"line": %d}`, i)}
		f.hash = hashOf([]byte(f.payload))
		facts[i] = f
	}
	r.writer.note(wordIntent, facts)
	conn, err := r.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		events := pgx.CopyFromSlice(n, func(i int) ([]any, error) { return []any{facts[i].id, facts[i].typ, []byte(facts[i].payload)}, nil })
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"outbox", "events"}, []string{"id", "type", "payload"}, events); err != nil {
			return err
		}
		rows := pgx.CopyFromSlice(n, func(i int) ([]any, error) { return []any{facts[i].id, int64(i)}, nil })
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"app_rows"}, []string{"event_id", "n"}, rows)
		return err
	})
	if err != nil {
		return fmt.Errorf("write a big transaction: %w", err)
	}
	r.writer.note(wordCommitted, facts)
	return nil
}
