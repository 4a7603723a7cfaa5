package retention

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

func TestPace(t *testing.T) {
	var p pace
	require.Equal(t, minBatch, p.batch())
	for range 10 {
		require.Equal(t, minRest, p.next(time.Millisecond))
	}
	require.Equal(t, maxBatch, p.batch())
	require.Equal(t, rest*30*time.Millisecond, p.next(30*time.Millisecond))
	require.Equal(t, maxBatch, p.batch(), "neither too long nor short")
	require.Equal(t, rest*batchTook*2, p.next(batchTook*2))
	require.Equal(t, maxBatch/2, p.batch())
	for range 10 {
		require.Equal(t, maxRest, p.next(time.Minute))
	}
	require.Equal(t, minBatch, p.batch())
}

// slowDB has a number of events, each with a delivery, and takes a while over each row.
type slowDB struct {
	events, deliveries int
	aRow               time.Duration
	busy               time.Duration // In all.
	longest            time.Duration // Of a statement that removes.
}

func (db *slowDB) work(rows int) {
	took := time.Duration(rows) * db.aRow
	time.Sleep(took)
	db.busy += took
	db.longest = max(db.longest, took)
}

const lookTook = 80 * time.Millisecond

func (db *slowDB) Query(context.Context, string, ...any) (pgx.Rows, error) { panic("no query of rows") }

func (db *slowDB) Exec(_ context.Context, _ string, args ...any) (pgconn.CommandTag, error) {
	n := len(args[0].(pgtype.FlatArray[pgtype.UUID]))
	db.work(n)
	db.events -= n
	db.deliveries += n
	return pgconn.NewCommandTag(fmt.Sprintf("DELETE %d", n)), nil
}

func (db *slowDB) QueryRow(_ context.Context, _ string, args ...any) pgx.Row {
	if _, isLook := args[0].(int64); isLook {
		n := min(args[2].(int), db.events)
		time.Sleep(lookTook)
		db.busy += lookTook
		return row{pgtype.FlatArray[pgtype.UUID](make([]pgtype.UUID, n)), time.Now(), "0/1"}
	}
	n := min(args[2].(int), db.deliveries)
	db.work(n)
	db.deliveries -= n
	return row{int64(n), time.Now()}
}

type row []any

func (r row) Scan(into ...any) error {
	for i := range into {
		switch to := into[i].(type) {
		case *pgtype.FlatArray[pgtype.UUID]:
			*to = r[i].(pgtype.FlatArray[pgtype.UUID])
		case *time.Time:
			*to = r[i].(time.Time)
		case *string:
			*to = r[i].(string)
		case *int64:
			*to = r[i].(int64)
		}
	}
	return nil
}

// However much there is to remove, others have three quarters of the time, and no statement takes long.
func TestSweepTakesItsShareAlone(t *testing.T) {
	for _, aRow := range []time.Duration{10 * time.Microsecond, 100 * time.Microsecond} {
		synctest.Test(t, func(t *testing.T) {
			db := &slowDB{events: 10_000_000, aRow: aRow}
			s := Sweeper{DB: db, Age: month, Passed: passed}
			begun := time.Now()
			removed, err := s.Sweep(t.Context())
			require.NoError(t, err)
			elapsed := time.Since(begun)
			require.Positive(t, removed.Events)
			require.Equal(t, removed.Events, removed.Deliveries)
			require.InDelta(t, 0.25, db.busy.Seconds()/elapsed.Seconds(), 0.01)
			require.LessOrEqual(t, db.longest, 2*batchTook)
			require.GreaterOrEqual(t, elapsed, sweepWithin)
			require.Less(t, elapsed, sweepWithin+20*time.Second, "ends though there is more")
		})
	}
}

// Waiting for a slot that doesn't move ends.
func TestSweepGivesSlotUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Sweeper{DB: &slowDB{events: 10}, Age: month, Passed: func() (pglogrepl.LSN, bool) { return 0, true }}
		begun := time.Now()
		removed, err := s.Sweep(t.Context())
		require.NoError(t, err)
		require.Zero(t, removed)
		require.InDelta(t, sweepWithin.Seconds(), time.Since(begun).Seconds(), 1)
	})
}
