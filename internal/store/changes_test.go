package store_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

func TestMarkChanges(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	subscribe(t, db, 2, true)
	pgtest.Execute(t, db, `UPDATE outbox.subscriptions SET active = false WHERE name = 's1'`)
	pgtest.Execute(t, db, `DELETE FROM outbox.subscriptions WHERE name = 's2'`)
	ids := pgtest.Values[int64](t, db, `SELECT id FROM outbox.subscription_changes ORDER BY id`)
	off, removed := store.Change{ID: ids[2], SubscriptionID: number(1)}, store.Change{ID: ids[3], SubscriptionID: number(2)}

	unread := func() []store.Change {
		changes, err := store.ChangesUnread(t.Context(), db)
		require.NoError(t, err)
		return changes
	}
	ahead := func(from pglogrepl.LSN) []store.Change {
		changes, err := store.ChangesAhead(t.Context(), db, from)
		require.NoError(t, err)
		return changes
	}
	require.ElementsMatch(t, []store.Change{off, removed}, unread(), "those that switch off or remove, alone")
	require.ElementsMatch(t, []store.Change{off, removed}, ahead(0))
	require.Empty(t, subscriptionsAt(t, db, 1<<40), "nothing is read yet")

	mark := func(want int, ids []int64, commits ...pglogrepl.LSN) {
		t.Helper()
		marked, err := store.MarkChanges(t.Context(), db, ids, commits)
		require.NoError(t, err)
		require.Equal(t, want, marked)
	}
	mark(3, ids[:3], 0x10, 0x1_0000_0010, 0x20)
	require.Equal(t, []store.Change{removed}, unread())
	require.ElementsMatch(t, []store.Change{off, removed}, ahead(0x20), "one committed there is still to come")
	require.Equal(t, []store.Change{removed}, ahead(0x21))
	require.Empty(t, subscriptionsAt(t, db, 0x10), "what was committed there comes down the stream")
	require.Equal(t, []string{"s1 true"}, subscriptionsAt(t, db, 0x11))
	require.Equal(t, []string{"s1 false"}, subscriptionsAt(t, db, 0x1_0000_0010))
	require.Equal(t, []string{"s1 false", "s2 true"}, subscriptionsAt(t, db, 0x1_0000_0011))

	mark(1, ids[3:], 0x2_0000_0000)
	require.Equal(t, []string{"s1 false"}, subscriptionsAt(t, db, 0x2_0000_0001))
	mark(1, ids[3:], 0x2_0000_0000) // Read again, marked again.
	mark(0, []int64{1 << 40}, 0x10) // Pruned, or not visible yet.
	mark(0, nil)
}

// A transaction is seen once it has ended, whatever else is under way.
func TestVisible(t *testing.T) {
	t.Parallel()

	db := database(t)
	xid := func(tx pgx.Tx) (id uint32) {
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT pg_current_xact_id()::xid::text::bigint`).Scan(&id))
		return id
	}
	visible := func(xids ...uint32) bool {
		seen, err := store.Visible(t.Context(), db, xids)
		require.NoError(t, err)
		return seen
	}
	first, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = first.Rollback(context.Background()) }()
	second, err := db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = second.Rollback(context.Background()) }()
	a, b := xid(first), xid(second)
	require.False(t, visible(a))
	require.False(t, visible(b), "which is ahead of all that have ended")
	require.NoError(t, first.Commit(t.Context()))
	require.True(t, visible(a, a))
	require.False(t, visible(a, b), "all or nothing")
	require.NoError(t, second.Commit(t.Context()))
	require.True(t, visible(a, b))
	require.True(t, visible(a-100, b))
	require.False(t, visible(b+1000), "of the future")
}

// subscriptionsAt are the names of those at a position, with whether they are on, in order.
func subscriptionsAt(t require.TestingT, db store.DB, at pglogrepl.LSN) []string {
	all, err := store.SubscriptionsAt(context.Background(), db, at)
	require.NoError(t, err)
	rows, err := db.Query(context.Background(), `
		SELECT concat_ws(' ', s->>'name', s->>'active') FROM unnest($1::text[]::json[]) AS s ORDER BY 1`, all)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// Pruning takes nothing that a start at the confirmed position, or at any later one, needs: from there on the subscriptions
// and what is ahead of them are the same. And it does prune: what it leaves is no longer than what it stands for.
func TestPruneKeepsWhatALaterStartNeeds(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	rapid.Check(t, func(t *rapid.T) {
		tx, err := db.Begin(ctx)
		require.NoError(t, err)
		defer tx.Rollback(ctx) //nolint:errcheck // each check leaves the table empty

		last := writeHistory(t, tx)
		confirmed := pglogrepl.LSN(0)
		for range rapid.IntRange(1, 4).Draw(t, "prunings") {
			confirmed = max(confirmed, pglogrepl.LSN(rapid.Uint64Range(0, uint64(last)+2).Draw(t, "confirmed")))
			before := futures(t, tx, confirmed, last)
			require.NoError(t, store.PruneChanges(ctx, tx, confirmed))
			require.Equal(t, before, futures(t, tx, confirmed, last), "confirmed %d", confirmed)
		}

		for left, was := -1, -2; left != was; { // Each time, one removal of a subscription goes.
			require.NoError(t, store.PruneChanges(ctx, tx, confirmed))
			was = left
			require.NoError(t, tx.QueryRow(ctx, `SELECT count(*) FROM outbox.subscription_changes WHERE commit_lsn < $1::text::pg_lsn`,
				confirmed.String()).Scan(&left))
			if left == was {
				require.Len(t, subscriptionsAt(t, tx, confirmed), left)
			}
		}
	})
}

// writeHistory writes what transactions did to some subscriptions: each a few changes with one commit position, the last of
// them unread. Ids are in order of writing: for one subscription that of the commits, for others not, since transactions
// overlap.
func writeHistory(t *rapid.T, tx pgx.Tx) (last pglogrepl.LSN) {
	type change struct {
		subscription, rank int
		kind               string
		commit             pglogrepl.LSN // 0: unread.
	}
	var history []change
	transactions := rapid.IntRange(1, 8).Draw(t, "transactions")
	read := rapid.IntRange(0, transactions).Draw(t, "read")
	for n := range transactions {
		var commit pglogrepl.LSN
		if n < read {
			last += pglogrepl.LSN(rapid.IntRange(1, 3).Draw(t, "step"))
			if rapid.IntRange(0, 5).Draw(t, "scanned") == 0 && n == 0 {
				last = 1 // As the scan marks them.
			}
			commit = last
		}
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			history = append(history, change{
				rapid.IntRange(1, 3).Draw(t, "subscription"), n + rapid.IntRange(0, 4).Draw(t, "overlap"),
				rapid.SampledFrom([]string{"true", "false", "gone"}).Draw(t, "kind"), commit,
			})
		}
	}
	// Of one subscription none is written before an earlier one: the row's lock sees to that.
	rank := make(map[int]int)
	for i, c := range history {
		rank[c.subscription] = max(rank[c.subscription], c.rank)
		history[i].rank = rank[c.subscription]
	}
	slices.SortStableFunc(history, func(a, b change) int { return a.rank - b.rank })
	for i, c := range history {
		var commit *string
		if c.commit > 0 {
			commit = ptr(c.commit.String())
		}
		_, err := tx.Exec(context.Background(), `
			INSERT INTO outbox.subscription_changes (id, subscription_id, subscription, commit_lsn) OVERRIDING SYSTEM VALUE
			SELECT $1::bigint, $2::uuid, CASE WHEN $3::text <> 'gone' THEN json_build_object('name', concat($2::uuid, ' version ', $1::bigint), 'active', $3::text::boolean) END,
			       $4::text::pg_lsn`, int64(i+1), number(c.subscription), c.kind, commit)
		require.NoError(t, err)
	}
	return last
}

// futures are the subscriptions, and the changes ahead, of a start at each position from one on.
func futures(t *rapid.T, tx pgx.Tx, from, last pglogrepl.LSN) map[pglogrepl.LSN]any {
	all := make(map[pglogrepl.LSN]any)
	for at := from; at <= max(from, last+1); at++ {
		ahead, err := store.ChangesAhead(context.Background(), tx, at)
		require.NoError(t, err)
		slices.SortFunc(ahead, func(a, b store.Change) int { return int(a.ID - b.ID) })
		all[at] = []any{subscriptionsAt(t, tx, at), ahead}
	}
	return all
}

// Of any journal, in any order, a pruning takes what it should and no more.
func TestPruneTakesWhatIsReplaced(t *testing.T) {
	t.Parallel()

	type change struct {
		ID           int64
		Subscription uuid.UUID
		Commit       pglogrepl.LSN // 0: unread.
		Gone         bool
	}
	ctx := t.Context()
	db := database(t)
	rapid.Check(t, func(t *rapid.T) {
		tx, err := db.Begin(ctx)
		require.NoError(t, err)
		defer tx.Rollback(ctx) //nolint:errcheck // each check leaves the table empty

		journal := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) change {
			return change{
				Subscription: number(rapid.IntRange(1, 3).Draw(t, "subscription")),
				Commit:       pglogrepl.LSN(rapid.Uint64Range(0, 6).Draw(t, "commit")), Gone: rapid.Bool().Draw(t, "gone"),
			}
		}), 0, 15).Draw(t, "journal")
		for i := range journal {
			c := &journal[i]
			c.ID = int64(i + 1)
			_, err := tx.Exec(ctx, `
				INSERT INTO outbox.subscription_changes (id, subscription_id, subscription, commit_lsn) OVERRIDING SYSTEM VALUE
				SELECT $1::bigint, $2::uuid, CASE WHEN NOT $3::boolean THEN '{}'::json END, nullif($4::text::pg_lsn, '0/0')`,
				c.ID, c.Subscription, c.Gone, c.Commit.String())
			require.NoError(t, err)
		}
		confirmed := pglogrepl.LSN(rapid.Uint64Range(0, 7).Draw(t, "confirmed"))
		passed := func(c change) bool { return c.Commit > 0 && c.Commit < confirmed }
		before := func(a, b change) bool { return a.Commit < b.Commit || a.Commit == b.Commit && a.ID < b.ID }
		want := []int64{}
		for _, c := range journal {
			ofIt := func(test func(change) bool) bool {
				return slices.ContainsFunc(journal, func(o change) bool { return o.Subscription == c.Subscription && passed(o) && test(o) })
			}
			replaced := ofIt(func(o change) bool { return before(c, o) })
			hides := ofIt(func(o change) bool { return before(o, c) })
			if !passed(c) || c.Gone && hides || !c.Gone && !replaced {
				want = append(want, c.ID)
			}
		}

		require.NoError(t, store.PruneChanges(ctx, tx, confirmed))
		rows, err := tx.Query(ctx, `SELECT id FROM outbox.subscription_changes ORDER BY id`)
		require.NoError(t, err)
		left, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		require.NoError(t, err)
		require.Equal(t, want, left)
	})
}

// With many subscriptions pruning looks at each row of the journal a few times, not at all of them for each: whatever Postgres
// believes of the table.
func TestPruneCostGrowsWithTheJournal(t *testing.T) {
	t.Parallel()

	const changes = 3000 // Of two thirds as many subscriptions.
	db := database(t)
	for _, when := range []string{"before they are read", "after"} {
		tx := begin(t, db)
		pgtest.Execute(t, tx, `
			INSERT INTO outbox.subscription_changes (subscription_id, subscription)
			SELECT ('00000000-0000-4000-8000-' || lpad((n % ($1::int * 2 / 3))::text, 12, '0'))::uuid, CASE WHEN n % 50 > 0 THEN '{}'::json END
			  FROM generate_series(1, $1::int) AS n`, changes)
		if when == "before they are read" {
			pgtest.Execute(t, tx, `ANALYZE outbox.subscription_changes`)
		}
		pgtest.Execute(t, tx, `UPDATE outbox.subscription_changes SET commit_lsn = '0/1'::pg_lsn + id`)
		if when == "after" {
			pgtest.Execute(t, tx, `ANALYZE outbox.subscription_changes`)
		}
		measured := &explained{DB: tx}
		require.NoError(t, store.PruneChanges(t.Context(), measured, 1<<40))
		require.Positive(t, measured.rows)
		require.Less(t, measured.rows, 10.0*changes, "statistics of %s:\n%s", when, measured.plan)
		left := pgtest.Value[int](t, tx, `SELECT count(*) FROM outbox.subscription_changes`)
		require.Less(t, left, changes)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// explained runs statements and counts the rows that their plans' steps passed on or looked at in vain.
type explained struct {
	store.DB
	plan string
	rows float64
}

func (e *explained) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := e.QueryRow(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...).Scan(&e.plan); err != nil {
		return pgconn.CommandTag{}, err
	}
	type step struct {
		Rows     float64 `json:"Actual Rows"`
		Loops    float64 `json:"Actual Loops"`
		Filtered float64 `json:"Rows Removed by Filter"`
		Unjoined float64 `json:"Rows Removed by Join Filter"`
		Plans    []step
	}
	var plans []struct{ Plan step }
	if err := json.Unmarshal([]byte(e.plan), &plans); err != nil {
		return pgconn.CommandTag{}, err
	}
	var count func(step)
	count = func(s step) {
		e.rows += s.Loops * (s.Rows + s.Filtered + s.Unjoined)
		for _, below := range s.Plans {
			count(below)
		}
	}
	count(plans[0].Plan)
	return pgconn.CommandTag{}, nil
}
