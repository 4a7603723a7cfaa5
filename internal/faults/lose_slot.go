package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// loss is a way to lose what the stream hangs on.
type loss struct {
	name string
	do   func(ctx context.Context, r *rig) error
}

const (
	dropSlotSQL        = `SELECT pg_drop_replication_slot('relay')`
	makeSlotSQL        = `SELECT pg_create_logical_replication_slot('relay', 'pgoutput')`
	dropPublicationSQL = `DROP PUBLICATION relay`
	makePublicationSQL = `CREATE PUBLICATION relay FOR TABLE outbox.events, outbox.subscription_changes WITH (publish = 'insert')`
)

var losses = []loss{
	{"slot dropped", func(ctx context.Context, r *rig) error { return r.freeSlot(ctx, dropSlotSQL) }},
	{"slot made anew by somebody else", func(ctx context.Context, r *rig) error { return r.freeSlot(ctx, dropSlotSQL, makeSlotSQL) }},
	{"publication dropped", func(ctx context.Context, r *rig) error { return r.exec(ctx, dropPublicationSQL) }},
	{"publication made anew", func(ctx context.Context, r *rig) error {
		if err := r.exec(ctx, dropPublicationSQL); err != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond) // So that events come between.
		// The relay may have made it by now: that one goes as well, in the same transaction.
		return r.exec(ctx, "DROP PUBLICATION IF EXISTS relay; "+makePublicationSQL)
	}},
	{"publication altered and put back", func(ctx context.Context, r *rig) error {
		if err := r.exec(ctx, `ALTER PUBLICATION relay DROP TABLE outbox.events`); err != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond) // So that events come between.
		return r.exec(ctx, `ALTER PUBLICATION relay ADD TABLE outbox.events`)
	}},
	{"slot invalidated by max_slot_wal_keep_size", invalidateSlot},
}

var loseSlot = &campaign{
	name: "lose-slot",
	doc:  "slot dropped, made anew, invalidated; publication dropped, made anew, altered and put back; while the relay runs and while it is down",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx, "max_slot_wal_keep_size=32MB", "min_wal_size=32MB", "max_wal_size=64MB"); err != nil {
			return err
		}
		relay, err := r.start(ctx)
		if err != nil {
			return err
		}
		r.writer.start(r.random, pointsPerSecond)
		rounds, n := r.count(1, 10), 0
		for range rounds {
			for i := range 2 * len(losses) {
				if !r.more(ctx) {
					break
				}
				if err := r.awaitLoad(ctx, 50); err != nil {
					return err
				}
				if relay, err = r.lose(ctx, relay, losses[i/2], i%2 == 0); err != nil {
					return fmt.Errorf("%s: %w", losses[i/2].name, err)
				}
				n++
			}
		}
		r.did(n, rounds*2*len(losses), "%d losses (slot dropped, made anew, invalidated, publication dropped, made anew, altered and put back), half with the relay running", n)
		return r.settle(ctx)
	},
}

// lose makes one loss and sees to it that the relay says so and goes on.
func (r *rig) lose(ctx context.Context, relay *relayProcess, l loss, running bool) (*relayProcess, error) {
	before, err := os.ReadFile(r.path("relay.log"))
	if err != nil {
		return nil, err
	}
	if running {
		r.running = relay
	} else {
		r.running = nil
		if _, err := relay.stop(); err != nil {
			return nil, err
		}
	}
	if err := l.do(ctx, r); err != nil {
		return nil, err
	}
	if !running {
		if relay, err = r.launch(r.binaries.relay); err != nil {
			return nil, err
		}
	}
	if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
		return nil, err
	}
	// A publication that is dropped and made again between two looks at it may go unnoticed by nobody: events that were
	// committed meanwhile are not in the stream.
	err = await(ctx, 20*time.Second, "the relay says that it makes the slot anew", func() (bool, error) {
		log, err := os.ReadFile(r.path("relay.log"))
		return err == nil && strings.Contains(string(log[len(before):]), "making it anew"), err
	})
	if err != nil {
		r.problem("%s, relay running: %v: %v", l.name, running, err)
	}
	return relay, nil
}

// freeSlot ends whoever reads the slot and runs statements, again until nobody gets in between.
func (r *rig) freeSlot(ctx context.Context, statements ...string) error {
	return await(ctx, 20*time.Second, "the slot is free", func() (bool, error) {
		if err := r.exec(ctx, `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL`); err != nil {
			return false, err
		}
		err := r.with(ctx, func(conn *pgx.Conn) error {
			for _, sql := range statements {
				if _, err := conn.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		})
		return err == nil, nil
	})
}

// invalidateSlot writes more WAL than is kept, while the relay, where one runs, is stopped in its tracks.
func invalidateSlot(ctx context.Context, r *rig) error {
	if r.running != nil {
		if err := r.running.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		defer func() { _ = r.running.cmd.Process.Signal(syscall.SIGCONT) }()
	}
	if err := r.exec(ctx, `CREATE TABLE IF NOT EXISTS filler (t text)`); err != nil {
		return err
	}
	return await(ctx, 60*time.Second, "the server invalidates the slot", func() (bool, error) {
		if err := r.exec(ctx, `INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 20000) AS i`); err != nil {
			return false, err
		}
		if err := r.exec(ctx, `CHECKPOINT`); err != nil {
			return false, err
		}
		var lost bool
		err := r.query(ctx, `SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = 'relay'`, nil, &lost)
		return lost, err
	})
}
