package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/store"
)

// partitions is the same tables with a partition a day: so many are made ahead, and what lies beyond them goes to a default.
type partitions struct{}

const (
	ahead            = 3       // Days after today.
	lockNotAvailable = "55P03" // What lock_timeout ends with.
)

var (
	//go:embed partitions.sql
	partitionsSQL string
	//go:embed partitions_keys.sql
	partitionsKeysSQL string
	//go:embed partitions_indexes.sql
	partitionsIndexesSQL string
	//go:embed partitions_record.sql
	partitionsRecordSQL string
)

var partitioned = []string{"events", "deliveries", "attempts"}

func (partitions) name() string { return "partitions" }

// leaf is the name of a table's partition of a day.
func leaf(table string, day time.Time) string { return "outbox." + table + day.Format("_20060102") }

// createLeaf is the statement that makes it.
func createLeaf(table string, day time.Time) string {
	return fmt.Sprintf("CREATE TABLE %s PARTITION OF outbox.%s FOR VALUES FROM ('%s+00') TO ('%s+00');\n",
		leaf(table, day), table, day.Format(time.DateOnly), day.AddDate(0, 0, 1).Format(time.DateOnly))
}

func (partitions) setUp(ctx context.Context, db *database) error {
	return db.run(ctx, outboxrelay.Schema+bareSQL+partitionsSQL)
}

func (partitions) load(ctx context.Context, db *database, h history) error {
	var script strings.Builder
	for _, table := range partitioned {
		for n := range days + 1 + ahead {
			script.WriteString(createLeaf(table, h.day(n)))
		}
		fmt.Fprintf(&script, "CREATE TABLE outbox.%s_default PARTITION OF outbox.%s DEFAULT;\n", table, table)
	}
	if err := db.run(ctx, script.String()); err != nil {
		return err
	}
	for n := range days {
		day := h.day(n)
		into := tables{eventsTable(leaf("events", day)), deliveriesTable(leaf("deliveries", day)), datedAttempts(leaf("attempts", day))}
		if err := h.load(ctx, db.url, h.upTo(n), h.upTo(n+1), into); err != nil {
			return err
		}
	}
	return nil
}

func (partitions) tables() tables {
	return tables{eventsTable("outbox.events"), deliveriesTable("outbox.deliveries"), datedAttempts("outbox.attempts")}
}

// datedAttempts is attempts with their event's time.
func datedAttempts(name string) table {
	t := attemptsTable(name)
	plain := t.row
	t.columns += ", event_created_at"
	t.row = func(r *row, e *event) {
		plain(r, e)
		r.time(e.at)
	}
	return t
}

func (partitions) finish(ctx context.Context, db *database) error {
	group, both := errgroup.WithContext(ctx)
	for _, script := range []string{partitionsKeysSQL, partitionsIndexesSQL} {
		group.Go(func() error { return db.run(both, script) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return db.run(ctx, "ANALYZE")
}

func (partitions) record(ctx context.Context, db store.DB, b records) error {
	_, err := db.Exec(ctx, partitionsRecordSQL, b.arguments()...)
	return err
}

// remove drops the day's partitions. DROP needs a lock that host apps wait behind while it waits for theirs, so it gives up
// soon and tries again. DETACH CONCURRENTLY is not to be had where there is a default partition.
func (partitions) remove(ctx context.Context, db *database, h history, n int) error {
	for {
		err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '100ms'"); err != nil {
				return err
			}
			for _, table := range partitioned {
				if _, err := tx.Exec(ctx, "DROP TABLE "+leaf(table, h.day(n))); err != nil {
					return err
				}
			}
			return nil
		})
		var fault *pgconn.PgError
		if !errors.As(err, &fault) || fault.Code != lockNotAvailable {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// comeBack makes the partitions of the days that have come since, and drops those of the days that are over.
func (w partitions) comeBack(ctx context.Context, t *trial) error {
	if err := t.spend(ctx, "make the partitions that are missing", func() error {
		return w.spread(ctx, t.db, t.history, days+1+ahead, days+7)
	}); err != nil {
		return err
	}
	return t.spend(ctx, "remove a week, caught up", func() error {
		for n := removed; n < removed+7; n++ {
			if err := w.remove(ctx, t.db, t.history, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// spread makes the partitions that were not made in time: what the default holds of their days moves over, and host apps
// wait until that is done. To logical replication each row moved is an event inserted again.
func (partitions) spread(ctx context.Context, db *database, h history, from, to int) error {
	var script strings.Builder
	script.WriteString("BEGIN; ALTER TABLE outbox.events DETACH PARTITION outbox.events_default;\n")
	for n := from; n < to; n++ {
		script.WriteString(createLeaf("events", h.day(n)))
	}
	script.WriteString(`INSERT INTO outbox.events SELECT * FROM outbox.events_default;
		TRUNCATE outbox.events_default;
		ALTER TABLE outbox.events ATTACH PARTITION outbox.events_default DEFAULT;
		COMMIT`)
	return db.run(ctx, script.String())
}
