package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// writers is how many connections insert events, each a transaction at a time.
	writers = 4
	// eventsEach is how many events a transaction has on average.
	eventsEach = 2
	// writeTimeout bounds a transaction: with its COMMIT unanswered by then, what became of it is unknown.
	writeTimeout = 10 * time.Second
)

// What a line of the writer's journal says of an event.
const (
	wordIntent     = "intent"     // It is about to be written; its type and the hash of its payload follow.
	wordCommitted  = "committed"  // COMMIT was answered.
	wordRolledBack = "rolledback" // It was rolled back, or COMMIT was never sent.
	wordUnknown    = "unknown"    // COMMIT was sent, and its answer was lost.
	wordFound      = "found"      // It was unknown, and the table has it.
	wordAbsent     = "absent"     // It was unknown, and the table does not have it.
)

// appTable stands for the host app's own data: a row for each event, in the same transaction.
const appTable = `CREATE TABLE IF NOT EXISTS app_rows (event_id uuid PRIMARY KEY, n bigint NOT NULL)`

// writer is a host app: it inserts events and rows of its own in transactions, rolls some back, uses savepoints, and keeps
// a journal of what it did.
type writer struct {
	url     string
	journal *journal
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu        sync.Mutex
	committed map[uuid.UUID]string // The type of each.
	undecided map[uuid.UUID]string
}

func newWriter(dir, url string) (*writer, error) {
	j, err := newJournal(filepath.Join(dir, "written.journal"))
	if err != nil {
		return nil, err
	}
	return &writer{url: url, journal: j, committed: make(map[uuid.UUID]string), undecided: make(map[uuid.UUID]string)}, nil
}

// start begins to write about so many events a second until stop.
func (w *writer) start(random *rand.Rand, perSecond int) {
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	for range writers {
		own := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
		w.done.Go(func() { w.run(ctx, own, time.Second*writers*eventsEach/time.Duration(perSecond)) })
	}
}

// stop ends what start began. It may be called again.
func (w *writer) stop() {
	if w.cancel != nil {
		w.cancel()
		w.done.Wait()
		w.cancel = nil
	}
}

func (w *writer) run(ctx context.Context, random *rand.Rand, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.Background())
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(ctx, w.url); err != nil {
				conn = nil
				continue // Postgres is down for now.
			}
		}
		w.transaction(conn, random)
	}
}

// transaction writes a few events: some transactions are rolled back, some have a savepoint to which they roll back.
func (w *writer) transaction(conn *pgx.Conn, random *rand.Rand) {
	facts := make([]fact, 1+random.IntN(2*eventsEach-1))
	for i := range facts {
		facts[i] = newFact(random, randomType(random))
	}
	var dropped []fact
	if random.IntN(10) == 0 {
		dropped = []fact{newFact(random, randomType(random))}
	}
	w.write(conn, facts, dropped, random.IntN(10) > 0)
}

// write runs one transaction: dropped are written behind a savepoint that is rolled back.
func (w *writer) write(conn *pgx.Conn, facts, dropped []fact, commit bool) {
	w.note(wordIntent, facts)
	w.note(wordIntent, dropped)
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	w.note(w.attempt(ctx, conn, facts, dropped, commit), facts)
	w.note(wordRolledBack, dropped)
}

func (w *writer) attempt(ctx context.Context, conn *pgx.Conn, facts, dropped []fact, commit bool) string {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return wordRolledBack
	}
	defer func() { _ = tx.Rollback(context.Background()) }() // Does nothing after the commit.
	var b pgx.Batch
	if len(dropped) > 0 {
		b.Queue("SAVEPOINT kept")
		queue(&b, facts)
		b.Queue("RELEASE kept")
		b.Queue("SAVEPOINT dropped")
		queue(&b, dropped)
		b.Queue("ROLLBACK TO dropped")
	} else {
		queue(&b, facts)
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil || !commit {
		return wordRolledBack
	}
	if err := tx.Commit(ctx); err != nil {
		return wordUnknown
	}
	return wordCommitted
}

func queue(b *pgx.Batch, facts []fact) {
	for _, f := range facts {
		b.Queue("INSERT INTO outbox.events (id, type, user_id, payload) VALUES ($1, $2, 'u1', $3)", f.id, f.typ, f.payload)
		b.Queue("INSERT INTO app_rows VALUES ($1, $2)", f.id, len(f.payload))
	}
}

// note writes what became of events into the journal.
func (w *writer) note(word string, facts []fact) {
	if len(facts) == 0 {
		return
	}
	lines := make([]string, len(facts))
	for i, f := range facts {
		lines[i] = word + " " + f.id.String()
		if word == wordIntent {
			lines[i] += " " + f.typ + " " + f.hash
		}
	}
	w.journal.write(lines...)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range facts {
		switch word {
		case wordCommitted, wordFound:
			w.committed[f.id] = f.typ
			delete(w.undecided, f.id)
		case wordUnknown:
			w.undecided[f.id] = f.typ
		case wordAbsent:
			delete(w.undecided, f.id)
		}
	}
}

// resolve finds out what became of those whose COMMIT was not answered, by looking.
func (w *writer) resolve(ctx context.Context, conn *pgx.Conn) error {
	for id, typ := range w.undecided {
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM outbox.events WHERE id = $1)", id).Scan(&there); err != nil {
			return fmt.Errorf("look for an event: %w", err)
		}
		word := wordAbsent
		if there {
			word = wordFound
		}
		w.note(word, []fact{{id: id, typ: typ}})
	}
	return nil
}

// matching counts the committed events that a subscription to these patterns gets.
func (w *writer) matching(patterns []string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, typ := range w.committed {
		if matches(patterns, typ) {
			n++
		}
	}
	return n
}

// committedType returns the type of a committed event.
func (w *writer) committedType(id uuid.UUID) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	typ, ok := w.committed[id]
	return typ, ok
}
