package retention

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

// No statement reads a table as a whole, whatever the planner believes of it: with many rows each batch would.
func TestSweepReadsIndexes(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	pgtest.Execute(t, db, `INSERT INTO outbox.events (type, payload, created_at)
		SELECT 'a', '1', now() - n * interval '2 minutes' FROM generate_series(0, 40000) AS n`)
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, url)
		SELECT outbox.delivery_id(id, id), id, id, created_at, 'accepted', type, tenant, '' FROM outbox.events`)
	pgtest.Execute(t, db, `INSERT INTO outbox.attempts (delivery_id, started_at, attempt, duration_ms) SELECT id, now(), 1, 1 FROM outbox.deliveries`)
	pgtest.Execute(t, db, `ANALYZE`)
	explainer := &explaining{DB: db, t: t, plans: make(map[string]string)}
	s := Sweeper{DB: explainer, Age: month, Passed: passed, chunk: 2000}
	removed, err := s.Sweep(t.Context())
	require.NoError(t, err)
	require.Positive(t, removed.Deliveries)
	require.Len(t, explainer.plans, 3)
	for _, plan := range explainer.plans {
		for _, table := range []string{"events", "deliveries", "attempts"} {
			require.NotContains(t, plan, "Seq Scan on "+table)
		}
		require.NotContains(t, plan, "Hash Anti Join")
	}
}

// explaining keeps the plans of statements, the first of each.
type explaining struct {
	store.DB
	t     *testing.T
	plans map[string]string
}

func (e *explaining) explain(ctx context.Context, sql string, args []any) {
	if _, known := e.plans[sql]; known {
		return
	}
	rows, err := e.Query(ctx, "EXPLAIN "+sql, args...)
	require.NoError(e.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(e.t, err)
	e.plans[sql] = strings.Join(lines, "\n")
}

func (e *explaining) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	e.explain(ctx, sql, args)
	return e.DB.QueryRow(ctx, sql, args...)
}

func (e *explaining) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	e.explain(ctx, sql, args)
	return e.DB.Exec(ctx, sql, args...)
}
