package relay

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"
)

func TestTrackerConfirmsOnlyTheSettledPrefix(t *testing.T) {
	var tr tracker
	first, second, third := tr.begin(7, 100, time.Time{}), tr.begin(7, 200, time.Time{}), tr.begin(7, 300, time.Time{})
	first.add(2)
	second.add(1)
	for tx, end := range map[*transaction]pglogrepl.LSN{first: 110, second: 210, third: 310} {
		tr.commit(tx, end)
	}

	position, drained := tr.settled()
	require.Zero(t, position, "the first transaction has two deliveries to go")
	require.False(t, drained)

	second.settle()
	first.settle()
	position, _ = tr.settled()
	require.Zero(t, position, "a later transaction does not confirm an earlier one")

	first.settle()
	position, drained = tr.settled()
	require.Equal(t, pglogrepl.LSN(310), position, "all three, the empty one included")
	require.True(t, drained)
}

func TestTrackerWaitsForTheCommit(t *testing.T) {
	var tr tracker
	tx := tr.begin(7, 100, time.Time{})
	position, drained := tr.settled()
	require.Zero(t, position)
	require.False(t, drained, "a transaction without its commit is open, even with nothing to record")

	tr.commit(tx, 150)
	position, drained = tr.settled()
	require.Equal(t, pglogrepl.LSN(150), position)
	require.True(t, drained)
}

func TestTrackerNeverGoesBack(t *testing.T) {
	var tr tracker
	tr.commit(tr.begin(7, 100, time.Time{}), 500)
	position, _ := tr.settled()
	require.Equal(t, pglogrepl.LSN(500), position)
	tr.commit(tr.begin(7, 90, time.Time{}), 400) // Read again.
	position, _ = tr.settled()
	require.Equal(t, pglogrepl.LSN(500), position)
}

func TestTrackerForgetsTransactionsOfAnEndedStream(t *testing.T) {
	var tr tracker
	old := tr.begin(7, 100, time.Time{})
	old.add(1)
	tr.reset(80)
	position, drained := tr.settled()
	require.Equal(t, pglogrepl.LSN(80), position)
	require.True(t, drained)
	old.settle() // A late recorder does no harm.
	position, _ = tr.settled()
	require.Equal(t, pglogrepl.LSN(80), position)
}

// However transactions overlap and whoever settles them, the position is that of the settled prefix, and nothing is kept.
func TestTrackerSettledByManyAtOnce(t *testing.T) {
	var tr tracker
	var workers sync.WaitGroup
	const transactions, things = 200, 5
	ends := make([]*transaction, transactions)
	for n := range transactions {
		at := pglogrepl.LSN(10 * (n + 1))
		tx := tr.begin(7, at, time.Time{})
		tx.add(things)
		ends[n] = tx
		for range things {
			workers.Go(tx.settle)
		}
		tr.commit(tx, at+5)
		position, _ := tr.settled()
		for _, before := range ends[:n+1] {
			if before.end <= position {
				require.Zero(t, before.pending.Load())
			}
		}
	}
	workers.Wait()
	position, drained := tr.settled()
	require.Equal(t, pglogrepl.LSN(10*transactions+5), position)
	require.True(t, drained)
	require.Nil(t, tr.open)
}
