package relay

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/store"
)

// underWay says what a new slot waits for: the end of each transaction that had written something when it was begun, in
// any database of the cluster.
const underWay = "waiting for transactions that are under way to end, so that the replication slot can be made"

// underWayEvery is how long a new slot waits without a word, and how often is looked for whom it waits: most transactions
// end sooner.
const underWayEvery = 2 * time.Second

// createSlotAloud makes the replication slot, and says for whose transactions it waits where that takes long.
func (r *Relay) createSlotAloud(ctx context.Context, conn *pgconn.PgConn) (pglogrepl.CreateReplicationSlotResult, error) {
	asking, cancel := context.WithTimeout(ctx, recordTimeout) // On a connection that hangs it would wait for ever.
	defer cancel()
	pid, err := askPID(asking, conn)
	if err != nil {
		return pglogrepl.CreateReplicationSlotResult{}, err
	}
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.sayUnderWay(watching, pid)
	}()
	defer func() {
		stop()
		<-done
	}()
	return r.createSlot(ctx, conn)
}

// sayUnderWay logs for whom the server's process waits, as often as that changes, until ctx ends.
func (r *Relay) sayUnderWay(ctx context.Context, pid int) {
	var said []int32
	for {
		sleep(ctx, underWayEvery)
		if ctx.Err() != nil {
			return
		}
		awaited, err := store.Blocking(ctx, r.db, pid)
		switch {
		case err != nil:
			r.log.Debug("cannot ask for whom the new slot waits", "error", explain(err))
		case len(awaited) > 0 && !slices.Equal(awaited, said):
			said = awaited
			r.log.Warn(underWay, "processes", awaited, "see", "pg_stat_activity; 0 is a prepared transaction, in pg_prepared_xacts")
		}
	}
}
