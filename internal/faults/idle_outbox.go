package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// mostRetained is what an outbox in which nothing happens may keep the server from recycling: four segments.
	mostRetained = 64 << 20
	// neighbourRate is how much WAL the other database writes in a second: 2 GiB in half an hour. What is retained grows with
	// it: the relay confirms every 5 s, and the server moves a slot's restart_lsn when it logs its running transactions, every
	// 15 s, to where the ones logged before stand. So it is up to 35 s' worth.
	neighbourRate = (2 << 30) / (30 * 60)
)

var idleOutbox = &campaign{
	name: "idle-outbox",
	doc:  "nothing happens in the outbox while another database of the cluster is busy: the slot must not hold its WAL",
	run: func(ctx context.Context, r *rig) error {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		p, err := r.start(ctx)
		if err != nil {
			return err
		}
		if err := r.recovered(ctx, p.began, recoverWithin); err != nil {
			return err
		}
		if err := r.cluster.CreateDatabase(ctx, "neighbour"); err != nil {
			return err
		}
		neighbour, err := pgx.Connect(ctx, r.cluster.URL("neighbour"))
		if err != nil {
			return err
		}
		defer neighbour.Close(ctx)
		if _, err := neighbour.Exec(ctx, `CREATE TABLE busy (t text)`); err != nil {
			return err
		}
		var start string
		if err := r.query(ctx, `SELECT pg_current_wal_lsn()::text`, nil, &start); err != nil {
			return err
		}
		total, most := int64(r.count(100, 2000))<<20, int64(0)
		var written, retained int64
		began := time.Now()
		for written < total && ctx.Err() == nil {
			if _, err := neighbour.Exec(ctx, `INSERT INTO busy SELECT repeat(md5(random()::text), 30) FROM generate_series(1, 1200)`); err != nil {
				return err
			}
			if err := r.query(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::text::pg_lsn)::bigint,
				pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots WHERE slot_name = 'relay'`,
				[]any{start}, &written, &retained); err != nil {
				return err
			}
			most = max(most, retained)
			pause(ctx, max(50*time.Millisecond, time.Duration(written)*time.Second/neighbourRate-time.Since(began)))
		}
		if most > mostRetained {
			r.problem("the slot held %d MiB of WAL, %d MiB are allowed", most>>20, mostRetained>>20)
		}
		if err := r.recovered(ctx, time.Now(), recoverWithin); err != nil {
			return err
		}
		r.did(1, 1, "another database wrote %d MiB of WAL, %.1f MiB/s, while the outbox was idle", written>>20, float64(neighbourRate)/(1<<20))
		r.result.note("the slot held at most %d MiB", most>>20)
		return r.settle(ctx)
	},
}
