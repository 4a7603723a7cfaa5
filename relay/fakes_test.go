package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/outbox"
)

// statements are the names of the store's statements, by their text.
var statements = sync.OnceValue(func() map[string]string {
	files, err := filepath.Glob("../internal/store/sql/*.sql")
	if err != nil || len(files) == 0 {
		panic(fmt.Sprintf("no statements: %v", err))
	}
	names := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		names[string(text)] = strings.TrimSuffix(filepath.Base(file), ".sql")
	}
	return names
})

// fakeDB is a store.DB: each statement, known by its file's name, is answered by a function. Those without one change
// nothing and return no rows.
type fakeDB struct {
	exec  map[string]func(args []any) (int64, error)
	query map[string]func(args []any) ([][]any, error)

	mu   sync.Mutex
	runs map[string]int // How often each statement ran.
}

func newFakeDB() *fakeDB {
	return &fakeDB{
		exec: make(map[string]func([]any) (int64, error)), query: make(map[string]func([]any) ([][]any, error)),
		runs: make(map[string]int),
	}
}

func (f *fakeDB) begin(sql string) string {
	name, ok := statements()[sql]
	if !ok {
		name = sql
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs[name]++
	return name
}

func (f *fakeDB) ran(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.runs[name]
}

func (f *fakeDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	do := f.exec[f.begin(sql)]
	if err := ctx.Err(); err != nil || do == nil {
		return pgconn.CommandTag{}, err
	}
	n, err := do(args)
	return pgconn.NewCommandTag(fmt.Sprintf("UPDATE %d", n)), err
}

func (f *fakeDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	do := f.query[f.begin(sql)]
	if err := ctx.Err(); err != nil || do == nil {
		return &fakeRows{}, err
	}
	rows, err := do(args)
	return &fakeRows{rows: rows}, err
}

func (f *fakeDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	rows, err := f.Query(ctx, sql, args...)
	return fakeRow{rows, err}
}

type fakeRow struct {
	rows pgx.Rows
	err  error
}

func (f fakeRow) Scan(dest ...any) error {
	switch {
	case f.err != nil:
		return f.err
	case !f.rows.Next():
		return pgx.ErrNoRows
	}
	return f.rows.Scan(dest...)
}

// fakeRows are rows of Go values of the types that they are scanned into, or convertible.
type fakeRows struct {
	pgx.Rows
	rows [][]any
	row  []any
}

func (f *fakeRows) Close()              {}
func (f *fakeRows) Err() error          { return nil }
func (f *fakeRows) RawValues() [][]byte { return make([][]byte, len(f.row)) }

func (f *fakeRows) Next() bool {
	if len(f.rows) == 0 {
		return false
	}
	f.row, f.rows = f.rows[0], f.rows[1:]
	return true
}

func (f *fakeRows) Scan(dest ...any) error {
	for i, d := range dest {
		if id, ok := d.(*pgtype.UUID); ok {
			*id = pgtype.UUID{Bytes: f.row[i].(uuid.UUID), Valid: true}
			continue
		}
		to := reflect.ValueOf(d).Elem()
		if f.row[i] == nil {
			to.SetZero()
			continue
		}
		to.Set(reflect.ValueOf(f.row[i]).Convert(to.Type()))
	}
	return nil
}

// uuidsIn returns the ids that a statement was given as an array.
func uuidsIn(arg any) []uuid.UUID {
	var ids []uuid.UUID
	for _, id := range arg.(pgtype.FlatArray[pgtype.UUID]) {
		ids = append(ids, id.Bytes)
	}
	return ids
}

func testMetrics() *metrics {
	return newMetrics(prometheus.NewRegistry(), &Relay{dispatch: &dispatcher{}})
}

func testLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// testDelivery is one of a stream, with a body that counts as so many bytes.
func testDelivery(sub *subscription, bodyBytes int) *delivery {
	e := &event{id: uuid.New(), size: int64(bodyBytes) + eventOverheadBytes}
	return &delivery{id: deliveryID(e.id, sub.id), event: e, sub: sub}
}

// answered is an outcome that is accepted.
func answered(d *delivery) {
	d.outcome = Outcome{StartedAt: d.started, EndedAt: time.Now(), Code: 200}
	d.decision = Decision{Status: outbox.StatusAccepted}
}

// bench is a dispatcher without network or database: attempts last as long as a test says, and what is recorded and
// spilled is noted.
type bench struct {
	*dispatcher
	takes  map[uuid.UUID]time.Duration // How long an attempt lasts, by subscription; less than 0: until release.
	hung   chan struct{}
	fails  map[uuid.UUID]bool // Attempts get no answer.
	kicks  int
	mu     sync.Mutex
	begun  []*delivery
	done   []*delivery
	spills []spilled
	most   map[uuid.UUID]int // The most in flight at once.
	now    map[uuid.UUID]int
}

type spilled struct {
	d    *delivery
	kind spillKind
	at   time.Time
}

func newBench(limit, laneLimit int) *bench {
	b := &bench{
		takes: make(map[uuid.UUID]time.Duration), hung: make(chan struct{}), fails: make(map[uuid.UUID]bool),
		most: make(map[uuid.UUID]int), now: make(map[uuid.UUID]int),
	}
	b.dispatcher = &dispatcher{
		limit: limit, laneLimit: laneLimit, connections: math.MaxInt32, newClient: NewSender(SenderOptions{}).NewClient,
		attempt: b.send, record: b.note, spill: b.spillOver, kick: func() { b.kicks++ },
		room: make(chan struct{}, 1), lanes: make(map[uuid.UUID]*lane),
	}
	return b
}

func (b *bench) send(_ *Client, d *delivery) {
	id := d.sub.id
	b.mu.Lock()
	b.begun = append(b.begun, d)
	b.now[id]++
	b.most[id] = max(b.most[id], b.now[id])
	takes, fails := b.takes[id], b.fails[id]
	b.mu.Unlock()
	if takes < 0 {
		<-b.hung
	} else {
		time.Sleep(takes)
	}
	b.mu.Lock()
	b.now[id]--
	b.mu.Unlock()
	if answered(d); fails {
		d.outcome.Code = 0
	}
}

// lasts says how long attempts of a subscription last from now on; less than 0: until hung is closed.
func (b *bench) lasts(s *subscription, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takes[s.id] = d
}

func (b *bench) failing(s *subscription, fails bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails[s.id] = fails
}

func (b *bench) note(d *delivery) {
	b.mu.Lock()
	b.done = append(b.done, d)
	b.mu.Unlock()
	if !d.outcome.Aborted {
		b.saved([]*delivery{d})
	}
}

func (b *bench) spillOver(d *delivery, kind spillKind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spills = append(b.spills, spilled{d, kind, time.Now()})
}

// give offers a new delivery of the stream and returns it with what became of it.
func (b *bench) give(sub *subscription, bodyBytes int) (*delivery, verdict) {
	d := testDelivery(sub, bodyBytes)
	b.hold(d.event, 1)
	v := b.offer(d)
	if v != taken {
		b.release(d)
	}
	return d, v
}

func (b *bench) count(of func(*bench) int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return of(b)
}

func (b *bench) flying(sub *subscription) int {
	return b.count(func(b *bench) int { return b.now[sub.id] })
}

// pass lets time go by. What a test has read before is read before whatever happens then.
func (b *bench) pass(d time.Duration) {
	barrier(&b.mu, &b.dispatcher.mu)
	time.Sleep(d)
	synctest.Wait()
}

func barrier(all ...*sync.Mutex) {
	for _, mu := range all {
		mu.Lock()
		mu.Unlock() //nolint:staticcheck // It is the order that counts.
	}
}

// requireEmpty says that all accounts are at zero once nothing is in hand.
func (b *bench) requireEmpty(t require.TestingT) {
	b.dispatcher.mu.Lock()
	defer b.dispatcher.mu.Unlock()
	require.Zero(t, b.running, "running")
	require.Zero(t, b.doubted, "doubted")
	require.Zero(t, b.counted, "counted")
	require.Zero(t, b.unsaved, "unsaved")
	require.Zero(t, b.held, "held")
	require.Zero(t, b.slow, "slow")
	require.Zero(t, b.unowned, "unowned")
	require.Zero(t, b.queues, "queues")
	for _, l := range b.lanes {
		require.Zero(t, l.running, "running")
		require.Zero(t, l.runningBytes, "running bytes")
		require.Zero(t, l.counted, "counted of a lane")
		require.Zero(t, l.claimed, "claimed of a lane")
		require.Zero(t, l.unsaved, "unsaved of a lane")
		require.Zero(t, l.queueBytes, "queue bytes")
		require.Empty(t, l.queue)
		require.Nil(t, l.oldest)
		require.Nil(t, l.newest)
	}
}

// inBubble runs a test in a bubble of its own time, with a context that ends with the test. What the test started has an hour
// to end then.
func inBubble(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer func() {
			cancel()
			time.Sleep(time.Hour)
		}()
		test(t, ctx)
	})
}

func sorted(ids []uuid.UUID) []uuid.UUID {
	return slices.SortedFunc(slices.Values(ids), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
}

func lsn(n int) pglogrepl.LSN { return pglogrepl.LSN(n) }

// bubbleTB keeps rapid from asking a test in a bubble for its deadline.
type bubbleTB struct{ *testing.T }
