package store_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/store"
)

func TestMarkChanges(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	subscribe(t, db, 2, true)
	execute(t, db, `UPDATE outbox.subscriptions SET active = false WHERE name = 's1'`)
	execute(t, db, `DELETE FROM outbox.subscriptions WHERE name = 's2'`)
	ids := values[int64](t, db, `SELECT id FROM outbox.subscription_changes ORDER BY id`)
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

	mark := func(ids []int64, commits ...pglogrepl.LSN) int {
		marked, err := store.MarkChanges(t.Context(), db, ids, commits)
		require.NoError(t, err)
		return marked
	}
	require.Equal(t, 3, mark(ids[:3], 0x10, 0x1_0000_0010, 0x20))
	require.Equal(t, []store.Change{removed}, unread())
	require.ElementsMatch(t, []store.Change{off, removed}, ahead(0x20), "one committed there is still to come")
	require.Equal(t, []store.Change{removed}, ahead(0x21))
	require.Empty(t, subscriptionsAt(t, db, 0x10), "what was committed there comes down the stream")
	require.Equal(t, []string{"s1 true"}, subscriptionsAt(t, db, 0x11))
	require.Equal(t, []string{"s1 false"}, subscriptionsAt(t, db, 0x1_0000_0010))
	require.Equal(t, []string{"s1 false", "s2 true"}, subscriptionsAt(t, db, 0x1_0000_0011))

	require.Equal(t, 1, mark(ids[3:], 0x2_0000_0000))
	require.Equal(t, []string{"s1 false"}, subscriptionsAt(t, db, 0x2_0000_0001))
	require.Equal(t, 1, mark(ids[3:], 0x2_0000_0000), "read again, marked again")
	require.Zero(t, mark(nil))
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
