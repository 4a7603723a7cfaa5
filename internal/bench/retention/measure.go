package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// trial is the measurement of one way.
type trial struct {
	*bench
	column
	w  way
	db *database
}

// removed is how many days of the history are gone at the end of remove.
const removed = 3

func (b *bench) measure(ctx context.Context, w way) (column, error) {
	t := &trial{bench: b, column: column{way: w.name()}, w: w}
	for _, p := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"load", t.load}, {"read and write", t.use}, {"remove", t.remove}, {"a week without the relay", t.pause},
	} {
		if err := b.part(ctx, w.name()+", "+p.name, p.run); err != nil {
			return t.column, err
		}
		if b.hold {
			say("%s", t.db.url)
			<-ctx.Done()
			return t.column, nil
		}
		if b.use && p.name == "read and write" {
			break
		}
	}
	return t.column, b.drop(ctx, t.db, w.name())
}

func (t *trial) load(ctx context.Context) (err error) {
	if t.db, err = t.open(ctx, t.w.name()); err != nil {
		return err
	}
	begun := time.Now()
	err = t.carelessly(ctx, func() error {
		if err := t.w.setUp(ctx, t.db); err != nil {
			return err
		}
		if err := t.w.load(ctx, t.db, t.history); err != nil {
			return err
		}
		say("  rows after %.0f s", time.Since(begun).Seconds())
		return t.w.finish(ctx, t.db)
	})
	if err != nil {
		return err
	}
	return t.addSizes(ctx, "loaded")
}

// use measures what host apps, the relay and readers do on the full tables.
func (t *trial) use(ctx context.Context) error {
	rate, err := t.db.flood(ctx, t.lasting)
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("host inserts, %d connections, one row a commit", hosts), "%s/s", thousands(int64(rate)))
	if err := t.recording(ctx); err != nil {
		return err
	}
	if _, ok := t.w.(deletes); ok { // the relay's statements are for its own schema
		if err := t.draining(ctx); err != nil {
			return err
		}
	}
	return t.reading(ctx)
}

// remove removes a day three times: alone, beside host apps, and beside one that keeps a transaction open.
func (t *trial) remove(ctx context.Context) error {
	err := t.spend(ctx, "remove a day", func() error { return t.w.remove(ctx, t.db, t.history, 0) })
	if err != nil {
		return err
	}
	calm, err := t.db.beside(ctx, t.lasting, func() error { return nil })
	if err != nil {
		return err
	}
	t.addDelays("with nothing to remove", calm)
	busy, err := t.db.beside(ctx, t.lasting, func() error { return t.w.remove(ctx, t.db, t.history, 1) })
	if err != nil {
		return err
	}
	t.addDelays("while a day is removed", busy)

	slow := make(chan error, 1)
	var took time.Duration
	busy, err = t.db.beside(ctx, t.lasting, func() error {
		go func() { slow <- t.db.slowHost(ctx, slowFor) }()
		time.Sleep(slowFor / 5) // it has inserted by then
		begun := time.Now()
		err := t.w.remove(ctx, t.db, t.history, removed-1)
		took = time.Since(begun)
		return errors.Join(err, <-slow)
	})
	if err != nil {
		return err
	}
	t.addDelays(fmt.Sprintf("the same beside a transaction open for %s", slowFor), busy)
	t.add(fmt.Sprintf("remove a day beside a transaction open for %s", slowFor), "%.1f s", took.Seconds())
	return t.bloat(ctx)
}

const slowFor = 5 * time.Second

func (t *trial) addDelays(when string, d delays) {
	t.add("host inserts, "+when+": p50 / p99 / slowest", "%.1f / %.0f / %.0f ms", d.at(50), d.at(99), d.at(100))
}

// spend runs work and adds what it took.
func (t *trial) spend(ctx context.Context, name string, work func() error) error {
	wal, cpu, err := t.spent(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := work(); err != nil {
		return err
	}
	took := time.Since(begun)
	walAfter, cpuAfter, err := t.spent(ctx)
	if err != nil {
		return err
	}
	t.add(name+": time / CPU of Postgres / WAL", "%.2f s / %.1f s / %s", took.Seconds(), (cpuAfter - cpu).Seconds(), megabytes(walAfter-wal))
	return nil
}

// spent is the WAL and the CPU time of Postgres so far.
func (t *trial) spent(ctx context.Context) (wal int64, cpu time.Duration, err error) {
	if err := t.admin.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`).Scan(&wal); err != nil {
		return 0, 0, fmt.Errorf("read the WAL's position: %w", err)
	}
	cpu, err = t.cluster.CPUTime()
	return wal, cpu, err
}

// bloat measures what removal leaves behind: VACUUM, and how much tables grow when as much is written again as was removed.
func (t *trial) bloat(ctx context.Context) error {
	if err := t.addSizes(ctx, fmt.Sprintf("%d days removed", removed)); err != nil {
		return err
	}
	if err := t.spend(ctx, "VACUUM after it", func() error {
		for _, table := range partitioned {
			if _, err := t.db.pool.Exec(ctx, "VACUUM outbox."+table); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	later := history{count: t.history.count, begin: t.history.day(days).Add(time.Millisecond)} // for ids of its own
	for _, into := range t.w.tables() {
		if err := t.db.append(ctx, later, into, later.upTo(removed)); err != nil {
			return err
		}
	}
	return t.addSizes(ctx, "as much written again")
}

func (t *trial) addSizes(ctx context.Context, when string) error {
	var heap, indexes int64
	err := t.db.pool.QueryRow(ctx, `
		SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid)) FROM pg_stat_user_tables
		 WHERE schemaname = 'outbox' AND relname ~ '^(events|deliveries|attempts)'`).Scan(&heap, &indexes)
	if err != nil {
		return fmt.Errorf("measure tables: %w", err)
	}
	t.add("tables + indexes, "+when, "%s + %s", megabytes(heap), megabytes(indexes))
	return nil
}

// pause is a week in which no relay runs and no relay makes partitions; then it is back.
func (t *trial) pause(ctx context.Context) error {
	later := history{count: t.history.count, begin: t.history.day(days)}
	begun := time.Now()
	if err := t.db.append(ctx, later, eventsTable("outbox.events"), later.upTo(7)); err != nil {
		return err
	}
	t.add("a week of events inserted meanwhile", "%s in %.0f s", thousands(int64(later.upTo(7))), time.Since(begun).Seconds())
	busy, err := t.db.beside(ctx, t.lasting, func() error { return t.w.comeBack(ctx, t) })
	if err != nil {
		return err
	}
	t.addDelays("when the relay is back", busy)
	return nil
}
