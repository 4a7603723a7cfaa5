// Package model compares the program with a model of what it promises: random sequences of what host apps, operators and
// the world do to a real relay on a real Postgres, and after each a look at what arrived and what the log says.
//
// history_test.go is the model: who must get what, by the order of commits and, after a lost slot, by when events and
// subscriptions were made. actions_test.go is what may happen, sequence_test.go does it, verify_test.go compares.
//
//	make test-model ARGS='-model.count=5000 -model.seed=1'
//
// A sequence that fails is made as short as it can be, and shown with its seed.
package model

import (
	"context"
	"flag"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
)

var (
	count   = flag.Int("model.count", 24, "how many sequences to run")
	seed    = flag.Uint64("model.seed", 0, "seed of the first sequence; each has the next one; 0: by the clock")
	workers = flag.Int("model.workers", 4, "how many to run at once, each on a Postgres of its own")
	program = flag.String("model.relay", "", "the program to test; empty: built from here")
	budget  = flag.Duration("model.for", 20*time.Second, "begin no more after this time")
)

// mostFailures is how many sequences may fail until no more are begun: each has taken its time to be made short.
const mostFailures = 3

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	if path, err := build(); err == nil && *program == "" {
		_ = os.Remove(path)
	}
	os.Exit(code)
}

func TestModel(t *testing.T) {
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano()) / 1000 % 1_000_000_000
	}
	if testing.Short() {
		require.NoError(t, flag.Set("rapid.checks", "5")) // Of which rapid then makes a fifth.
	}
	_, err := build()
	require.NoError(t, err)
	var next, failed atomic.Int64
	var group sync.WaitGroup
	var ready []*worker
	for range min(*workers, *count) {
		ready = append(ready, newWorker(t))
	}
	began := time.Now()
	for _, w := range ready {
		group.Go(func() {
			for failed.Load() < mostFailures && time.Since(began) < *budget {
				n := next.Add(1) - 1
				if n >= int64(*count) {
					return
				}
				sequence := first + uint64(n)
				if !t.Run("seed="+strconv.FormatUint(sequence, 10), func(t *testing.T) { w.check(t, sequence) }) {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	ran := min(next.Load(), int64(*count))
	t.Logf("seeds from %d: %d sequences in %v, %.1f a second", first, ran, took.Round(time.Second), float64(ran)/took.Seconds())
	t.Logf("events %d, deliveries %d, attempts %d, cancelled %d, of those before any relay saw them %d, kills %d, losses %d", met.events.Load(),
		met.deliveries.Load(), met.attempts.Load(), met.cancelled.Load(), met.unsent.Load(), met.kills.Load(), met.losses.Load())
}

// worker runs one sequence after the other, on a database that it empties before each.
type worker struct {
	cluster *postgres.Cluster
	stage   *stage
	url     string
	ran     int
	admin   *pgx.Conn
	conns   [connections]*pgx.Conn
}

func newWorker(t *testing.T) *worker {
	const database = "model"
	w := &worker{cluster: pgtest.Private(t, postgres.Options{FsyncOff: true}), stage: newStage(t)}
	require.NoError(t, w.cluster.CreateDatabase(context.Background(), database))
	w.url = w.cluster.URL(database)
	pgtest.Migrate(t, w.url)
	t.Cleanup(w.disconnect)
	return w
}

// seeding guards the flag by which rapid is told its seed, from when it is set until it was read.
var seeding sync.Mutex

// check has rapid run the sequence of a seed, and make it short should it fail.
func (w *worker) check(t *testing.T, sequence uint64) {
	seeding.Lock()
	var read sync.Once
	defer read.Do(seeding.Unlock)
	require.NoError(t, flag.Set("rapid.seed", strconv.FormatUint(sequence, 10)))
	rapid.Check(t, func(t *rapid.T) {
		read.Do(seeding.Unlock)
		w.run(t)
	})
}

func init() {
	for name, value := range map[string]string{"rapid.checks": "1", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

// run runs one sequence.
func (w *worker) run(t *rapid.T) {
	w.ran++
	s := &sequence{
		history: newHistory(), t: t, w: w, number: w.ran, log: &lockedBuffer{},
		locked: make(map[string]int), numbers: make(map[string]int), secrets: make(map[string]string),
	}
	w.stage.clear()
	s.empty()
	defer s.close()
	t.Repeat(s.actions())

	s.step(t)
	s.endAll()
	for i := range receivers {
		if !w.stage.is(i, answers200) {
			s.setMode(i, answers200)
		}
	}
	if s.relay == nil {
		s.launch()
	}
	s.awaitSettled()
	s.stop()
	s.verify()
}

// empty makes the database as if it were new: nobody of the last sequence is in it any more, and nothing is left of it.
func (s *sequence) empty() {
	admin := s.session(&s.w.admin)
	type left struct{ N int }
	s.await("the last relay's sessions have ended", func() bool {
		ended := query[left](s, admin, `SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'relay'`)
		return ended[0].N == 0
	})
	query[left](s, admin, `SELECT count(pg_drop_replication_slot(slot_name))::int FROM pg_replication_slots`)
	s.execute(admin, `DROP PUBLICATION IF EXISTS `+slotName)
	s.execute(admin, `SET session_replication_role = replica`) // The journal's trigger writes what is being emptied.
	s.execute(admin, `DO $$ BEGIN EXECUTE (
		SELECT 'TRUNCATE ' || string_agg(oid::regclass::text, ', ') || ' RESTART IDENTITY'
		  FROM pg_class WHERE relnamespace = 'outbox'::regnamespace AND relkind = 'r'); END $$`)
	s.execute(admin, `RESET session_replication_role`)
}

// close ends what the sequence has left running.
func (s *sequence) close() {
	if s.relay != nil {
		s.relay.kill()
	}
	for n := range s.txs {
		if s.txs[n] != nil {
			s.w.disconnect()
			return
		}
	}
}

func (w *worker) disconnect() {
	for _, conn := range append(w.conns[:], w.admin) {
		if conn != nil {
			_ = conn.Close(context.Background()) // It ends here one way or the other.
		}
	}
}
