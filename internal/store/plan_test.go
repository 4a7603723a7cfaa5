package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	outboxrelay "github.com/outboxrelay/relay"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

var errPlanned = errors.New("planned, not run")

// planner has Postgres plan statements instead of running them.
type planner struct {
	db   *pgxpool.Pool
	plan []byte
}

func (p *planner) explain(ctx context.Context, sql string, args []any) error {
	if err := p.db.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+sql, args...).Scan(&p.plan); err != nil {
		return err
	}
	return errPlanned
}

func (p *planner) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, p.explain(ctx, sql, args)
}

func (p *planner) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return nil, p.explain(ctx, sql, args)
}

func (p *planner) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return plannedRow{p.explain(ctx, sql, args)}
}

type plannedRow struct{ err error }

func (r plannedRow) Scan(...any) error { return r.err }

// scans are the scans of tables and indexes in a plan: "Index Scan deliveries_due_idx", "Seq Scan events".
func (p *planner) scans(t *testing.T) []string {
	t.Helper()
	type node struct {
		Type     string `json:"Node Type"`
		Relation string `json:"Relation Name"`
		Index    string `json:"Index Name"`
		Plans    []node
	}
	var plans []struct{ Plan node }
	require.NoError(t, json.Unmarshal(p.plan, &plans))
	var found []string
	var walk func(node)
	walk = func(n node) {
		switch {
		case n.Index != "":
			found = append(found, "index "+n.Index)
		case n.Type == "Seq Scan" || n.Type == "Parallel Seq Scan":
			found = append(found, "whole "+n.Relation)
		case n.Type == "Sort":
			found = append(found, "sort")
		}
		for _, child := range n.Plans {
			walk(child)
		}
	}
	walk(plans[0].Plan)
	slices.Sort(found)
	return slices.Compact(found)
}

// On a log of 200,000 deliveries, most of them finished, whatever runs all the time finds its rows by an index.
func TestPlans(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	for _, statement := range []string{
		// Indexes are made when all is there, which is quicker.
		`DO $$
		 DECLARE name regclass;
		 BEGIN
		   FOR name IN SELECT indexrelid FROM pg_index WHERE indrelid IN ('outbox.deliveries'::regclass, 'outbox.events'::regclass)
		                  AND NOT indisprimary LOOP
		     EXECUTE 'DROP INDEX ' || name;
		   END LOOP;
		 END $$`,
		// Of 2 months, in order of time; one in a hundred is about one and the same user.
		`INSERT INTO outbox.events (id, type, user_id, payload, created_at)
		 SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'a', CASE WHEN n % 100 > 0 THEN n % 5000 ELSE 42 END, '{}',
		        now() - (200000 - n) * interval '13 s' FROM generate_series(1, 200000) AS n`,
		// The newest 40,000 wait for one subscription, whose URL is slow; of the others one in 200, to 19, a few of them due.
		`INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, status, event_type, tenant, user_id, url)
		 SELECT outbox.uuid7(), e.id, ('00000000-0000-4000-8000-' || lpad((CASE WHEN n > 160000 THEN 19 ELSE n % 19 END)::text, 12, '0'))::uuid,
		        e.created_at, CASE WHEN n > 160000 THEN now() WHEN n % 200 = 0 THEN now() + (n % 1000 - 100) * interval '4 s' END,
		        CASE WHEN n > 160000 OR n % 200 = 0 THEN 'pending' ELSE 'accepted' END, 'a', CASE WHEN n % 10 < 5 THEN 'default' ELSE 'tenant ' || n % 10 END, e.user_id, ''
		   FROM outbox.events AS e, LATERAL (SELECT right(e.id::text, 12)::int) AS r(n)`,
		`INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms)
		 SELECT id, 1, now(), 1 FROM outbox.deliveries WHERE right(event_id::text, 1) = '1'`,
		`INSERT INTO outbox.subscriptions (id, url, event_types)
		 SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'https://example.com', '{*}' FROM generate_series(0, 19) AS n`,
		outboxrelay.Schema,
		`VACUUM (ANALYZE) outbox.events, outbox.deliveries, outbox.attempts, outbox.subscriptions, outbox.subscription_changes`,
	} {
		_, err := db.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, statement)
	}
	var subscriptions, some []uuid.UUID
	var wanted []store.Wanted
	for n := range 20 {
		subscriptions, wanted = append(subscriptions, number(n)), append(wanted, want(64, time.Minute, n)...)
	}
	for n := range 1000 {
		some = append(some, number(1000+n))
	}
	query := func(sql string) func(store.DB) error {
		return func(db store.DB) error { _, err := db.Query(ctx, sql); return err }
	}

	const step = 8000 // Of the log, at a time.
	browse := func(f store.LogFilter, limit int) func(store.DB) error {
		return func(db store.DB) error {
			_, err := store.Browse(ctx, db, store.AllTenants(), f, store.LogPlace{}, limit)
			return err
		}
	}
	ofTenant := func(scope store.Scope, tenant string) func(store.DB) error {
		return func(db store.DB) error {
			_, err := store.Browse(ctx, db, scope, store.LogFilter{Tenant: tenant, Type: "b"}, store.LogPlace{}, step)
			return err
		}
	}

	for name, tt := range map[string]struct {
		run  func(store.DB) error
		want []string
	}{
		"the log":                        {browse(store.LogFilter{}, 50), []string{"index deliveries_log_idx"}},
		"the log, by what has no index":  {browse(store.LogFilter{Type: "b", URL: "x"}, step), []string{"index deliveries_log_idx"}},
		"the log of a user":              {browse(store.LogFilter{UserID: "43"}, 50), []string{"index deliveries_user_idx"}},
		"the log of a busy user":         {browse(store.LogFilter{UserID: "42", Type: "b"}, step), []string{"index deliveries_user_idx"}},
		"the log of a subscription":      {browse(store.LogFilter{SubscriptionID: number(1)}, 50), []string{"index deliveries_subscription_idx"}},
		"the log of a busy subscription": {browse(store.LogFilter{SubscriptionID: number(19), Type: "b"}, step), []string{"index deliveries_subscription_idx"}},
		"the log of what went wrong": {
			browse(store.LogFilter{Statuses: []outbox.Status{outbox.StatusFailed}}, step), []string{"index deliveries_not_accepted_idx"},
		},
		"the log of a tenant":          {ofTenant(store.AllTenants(), "tenant 1"), []string{"index deliveries_tenant_idx"}},
		"the log as a tenant sees it":  {ofTenant(store.OneTenant("tenant 1"), ""), []string{"index deliveries_tenant_idx"}},
		"the log where there are none": {ofTenant(store.OneTenant("default"), ""), []string{"index deliveries_log_idx"}},
		"the log of nobody":            {ofTenant(store.Scope{}, ""), []string{"index deliveries_tenant_idx"}},
		"a delivery's event elsewhere": {
			func(db store.DB) error {
				_, err := store.FindSiblings(ctx, db, store.AllTenants(), number(5), time.Now())
				return err
			},
			[]string{"index deliveries_pkey"},
		},
		"the contract's query of a user": {
			query(`SELECT event_type, url, status, attempts, response_code, last_attempt_at
			         FROM outbox.delivery_log WHERE user_id = '43' ORDER BY created_at DESC LIMIT 50`),
			[]string{"index deliveries_user_idx"},
		},
		"of a user with two thousand deliveries": {
			query(`SELECT * FROM outbox.delivery_log WHERE user_id = '42' ORDER BY created_at DESC LIMIT 50`),
			[]string{"index deliveries_user_idx", "index events_pkey"},
		},
		"due": {
			func(db store.DB) error { _, err := store.DueSubscriptions(ctx, db); return err },
			[]string{"index deliveries_due_idx"},
		},
		"claim": {
			func(db store.DB) error {
				_, err := store.Claim(ctx, db, wanted, ours)
				return err
			},
			[]string{"index deliveries_due_idx", "index deliveries_pkey", "index events_pkey"},
		},
		"fetch": {
			func(db store.DB) error { _, err := store.FetchClaimed(ctx, db, some, ours); return err },
			[]string{"index events_pkey"}, // And of deliveries either the key or one of the small indexes.
		},
		"release": {
			func(db store.DB) error { return store.Release(ctx, db, some, ours) },
			nil,
		},
		"recorded": {
			func(db store.DB) error { _, err := store.Recorded(ctx, db, some); return err },
			[]string{"index deliveries_pkey"},
		},
		"cancel what is due": {
			func(db store.DB) error { return store.CancelDue(ctx, db, subscriptions) },
			[]string{"index deliveries_due_idx", "index deliveries_pkey"},
		},
		"cancel a subscription's": {
			func(db store.DB) error {
				_, err := store.CancelSubscription(ctx, db, number(1), time.Now(), 1000)
				return err
			},

			nil,
		},
		"nothing is old": {
			func(db store.DB) error {
				_, err := store.OldEvents(ctx, db, 60*24*time.Hour, time.Time{}, 1000)
				return err
			},
			[]string{"index events_created_at_idx", "index deliveries_unfinished_event_idx"},
		},
		"remove old events": {
			func(db store.DB) error { _, err := store.DeleteEvents(ctx, db, append(some, some...)); return err },
			[]string{"index deliveries_unfinished_event_idx", "index events_pkey"},
		},
		"remove old deliveries": {
			func(db store.DB) error {
				_, _, err := store.ExpireDeliveries(ctx, db, time.Time{}, time.Now().Add(-60*24*time.Hour), 1000)
				return err
			},
			[]string{"index deliveries_log_idx", "index deliveries_pkey", "index events_pkey"},
		},
		"half of all events are old": {
			func(db store.DB) error {
				_, err := store.OldEvents(ctx, db, 15*24*time.Hour, time.Time{}, 20_000)
				return err
			},
			[]string{"index events_created_at_idx", "index deliveries_unfinished_event_idx"},
		},
		"half of all deliveries are old": {
			func(db store.DB) error {
				_, _, err := store.ExpireDeliveries(ctx, db, time.Time{}, time.Now().Add(-15*24*time.Hour), 2000)
				return err
			},
			[]string{"index deliveries_log_idx", "index deliveries_pkey", "index events_pkey", "index attempts_pkey"},
		},
		"replay": {
			query(`SELECT d.id FROM outbox.deliveries AS d JOIN outbox.events AS e ON e.id = d.event_id
			         LEFT JOIN outbox.subscriptions AS s ON s.id = d.subscription_id WHERE d.id = '00000000-0000-4000-8000-000000000001'`),
			[]string{"index deliveries_pkey", "index events_pkey"},
		},
	} {
		p := &planner{db: db}
		require.ErrorIs(t, tt.run(p), errPlanned, name)
		scans := p.scans(t)
		for _, want := range tt.want {
			assert.Contains(t, scans, want, name)
		}
		for _, large := range []string{"whole deliveries", "whole attempts", "whole events"} {
			assert.NotContains(t, scans, large, name)
		}
		if name == "of a user with two thousand deliveries" { // Others sort a few rows at most.
			require.NotContains(t, scans, "sort", name)
		}
	}
}
