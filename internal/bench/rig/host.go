package rig

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/internal/bench/rounds"
)

//go:embed host.sql
var hostSQL string

// accounts is how many rows transactions update, so many that few wait for each other.
const accounts = 10_000

// hostWarmUp comes before what counts: connections are made, and statements prepared.
const hostWarmUp = 500 * time.Millisecond

// Host is a host app's transactions, as fast as its connections can.
type Host struct {
	Outbox  bool // Whether each inserts an event.
	Relay   bool // Whether a relay runs beside it.
	Lasting time.Duration
}

// SetUpHost makes the tables of a host app.
func (db *Database) SetUpHost(ctx context.Context) error {
	if _, err := db.Pool.Exec(ctx, hostSQL); err != nil {
		return fmt.Errorf("make the host app's tables: %w", err)
	}
	if _, err := db.Pool.Exec(ctx, `INSERT INTO accounts (id) SELECT generate_series(1, $1)`, accounts); err != nil {
		return fmt.Errorf("make the host app's tables: %w", err)
	}
	return nil
}

// Transact runs a host app's transactions for a while; what they bring to deliver is delivered when it returns.
func (r *Rig) Transact(ctx context.Context, db *Database, work Host) (s rounds.Sample, err error) {
	var programs Programs
	if work.Relay {
		relay, err := r.StartRelay(db)
		if err != nil {
			return s, err
		}
		programs = append(programs, relay.Program)
		defer func() { err = errors.Join(err, relay.Stop(), db.DropSlot(ctx)) }()
		if err := relay.WaitReady(ctx); err != nil {
			return s, err
		}
	} else if work.Outbox { // what no relay takes must not be found by another round's
		defer func() {
			_, fault := db.Pool.Exec(ctx, `TRUNCATE outbox.events`)
			err = errors.Join(err, fault)
		}()
	}
	if err := errors.Join(r.Receiver.Reset(ctx, 0), db.Checkpoint(ctx)); err != nil {
		return s, err
	}
	return r.transactBeside(ctx, db, work, programs)
}

// transactBeside runs the transactions beside relays.
func (r *Rig) transactBeside(ctx context.Context, db *Database, work Host, relays Programs) (s rounds.Sample, err error) {
	delivers := work.Relay && work.Outbox
	warm, _, err := db.transact(ctx, Host{Outbox: work.Outbox, Lasting: hostWarmUp})
	if err != nil {
		return s, err
	}
	if delivers {
		if err := r.waitDelivered(ctx, relays, len(warm)); err != nil {
			return s, err
		}
	}
	before, err := r.cpu()
	if err != nil {
		return s, err
	}
	senderBefore, _, err := relays.usage()
	if err != nil {
		return s, err
	}
	took, lasted, err := db.transact(ctx, work)
	if err != nil {
		return s, err
	}
	if len(took) == 0 {
		return s, fmt.Errorf("run the host app: no transaction within %s", work.Lasting)
	}
	s.Count, s.Rate = len(took), float64(len(took))/lasted.Seconds()
	s.P50, s.P99 = took.at(50), took.at(99)
	if delivers {
		if err := r.waitDelivered(ctx, relays, len(warm)+s.Count); err != nil {
			return s, err
		}
	}
	after, err := r.cpu()
	if err != nil {
		return s, err
	}
	s.Postgres, s.Receiver = after.postgres-before.postgres, after.receiver-before.receiver
	s.Sender, s.PeakBytes, err = relays.usage()
	s.Sender -= senderBefore
	return s, err
}

// transact returns how long each transaction took, and how long all of them did.
func (db *Database) transact(ctx context.Context, work Host) (Delays, time.Duration, error) {
	took := make([]Delays, writers)
	begun := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for connection := range writers {
		group.Go(func() error {
			for n := connection * 997; time.Since(begun) < work.Lasting; n++ {
				before := time.Now()
				if err := db.transaction(ctx, n%accounts+1, work.Outbox); err != nil {
					return fmt.Errorf("run the host app: %w", err)
				}
				took[connection] = append(took[connection], time.Since(before))
			}
			return nil
		})
	}
	err := group.Wait()
	lasted := time.Since(begun)
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, lasted, err
}

func (db *Database) transaction(ctx context.Context, account int, outbox bool) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE accounts SET balance = balance + 1 WHERE id = $1`, account); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO orders (account, items) VALUES ($1, $2)`, account, Payload); err != nil {
			return err
		}
		if !outbox {
			return nil
		}
		_, err := tx.Exec(ctx, `INSERT INTO outbox.events (type, user_id, payload) VALUES ($1, $2, $3)`, EventType, "42", Payload)
		return err
	})
}
