package relay

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
)

// hangingDB is a connection that neither answers nor ends while it hangs, as behind a proxy that does.
type hangingDB struct {
	store.DB
	hangs atomic.Bool
	only  string // Where it is set, at this statement alone.
}

func hang(db store.DB) *hangingDB {
	h := &hangingDB{DB: db}
	h.hangs.Store(true)
	return h
}

func (h *hangingDB) wait(ctx context.Context, sql string) {
	if h.hangs.Load() && (h.only == "" || h.only == statements()[sql]) {
		<-ctx.Done()
	}
}

func (h *hangingDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	h.wait(ctx, sql)
	return h.DB.Exec(ctx, sql, args...)
}

func (h *hangingDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	h.wait(ctx, sql)
	return h.DB.Query(ctx, sql, args...)
}

func (h *hangingDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	h.wait(ctx, sql)
	return h.DB.QueryRow(ctx, sql, args...)
}

func TestRecorderGivesUpAConnectionThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRecorderBench()
		db := hang(b.db)
		b.recorder.db, b.save = db, db
		go b.run(ctx)
		d := b.putAccepted(testSubscription("default", true, "*"))
		b.pass(recordTimeout - time.Second)
		require.Zero(t, b.alarms.Load())
		b.pass(2 * time.Second)
		require.EqualValues(t, 1, b.alarms.Load())
		db.hangs.Store(false)
		b.pass(recordTimeout)
		require.True(t, recorded(d), "over another connection")
	})
}

func TestRouterGivesUpAConnectionThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newRouterBench(10, 10)
		b.router.db = hang(b.db)
		b.until = 500
		b.subscribe("*")
		b.commit(t, ctx, 400, "a", 1)
		began := time.Now()
		require.ErrorIs(t, b.lookUp(ctx), context.DeadlineExceeded)
		require.Equal(t, recordTimeout, time.Since(began))
		b.drop()
		b.bench.requireEmpty(t)
	})
}

func TestClaimerGivesUpAConnectionThatHangs(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newClaimerBench(10, 10)
		b.claimer.db = hang(b.db)
		b.giveBack(&delivery{id: uuid.New()})
		began := time.Now()
		_, err := b.cycle(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, recordTimeout, time.Since(began))
	})
}
