package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/store"
)

// Where a machine or a network fails without a word, either side of the stream's connection goes on waiting: the server for
// wal_sender_timeout (60 s by default), the relay for as long as a server may be silent that decodes (silence.go). But the server can be
// asked over another connection. A walsender that waits has read all that it was sent before (WalSndWaitForWal and
// ProcessPendingWrites in PostgreSQL's walsender.c read, then wait), and a relay sends it something every second (statusEvery): one
// that waits and has heard nothing new for some seconds will hear nothing any more.

const (
	// suspectAfter is how long the server may be silent before this relay asks over another connection whether it hears it: it has
	// been asked to answer by then, and had time to.
	suspectAfter = askAfter + statusEvery/2

	// unheardAfter is how long the walsender of this relay's stream may hear nothing of it. Nothing is sent twice by ending such a
	// stream: this relay knows what it has in hand.
	unheardAfter = 5 * statusEvery / 2

	// vanishedLeader is the same for a relay that stands by and watches another's. Should that one live and be cut off for as long,
	// what it has in flight is sent again. One that was held still gives up its stream sooner by itself (stillFor).
	vanishedLeader = 6 * time.Second

	// lookAtLeast is how often must be looked for nothing to be missed between two looks: standbyEvery, and some delay.
	lookAtLeast = 5 * standbyEvery / 2

	// lookEvery is how often a relay that is in doubt asks. askWithin bounds how long that takes, endWithin how long the end of a
	// walsender is waited for.
	lookEvery = 500 * time.Millisecond
	askWithin = 2 * time.Second
	endWithin = 2 * time.Second
)

// errUnheard ends a stream whose connection is dead, though nothing says so.
var errUnheard = errors.New("the server does not hear this relay any more: the connection is dead, and nobody has said so")

// senderWatch tells for how long a walsender has heard nothing. The zero value is ready; for one goroutine.
type senderWatch struct {
	own bool // It is this relay that it should hear, by whose clock its replies are.

	pid      int
	reply    string
	since    time.Time // When that reply was first seen.
	looked   time.Time // When it was last looked.
	listened bool      // It waited at the last look.
}

// unheard takes a look at the walsender, nil where there is none, and returns for how long at least it has heard nothing: 0 where
// that can't be told, as while it decodes and does not listen, or where nobody has looked for a while. Then both may have been cut
// off from the server, or stood still with it, and what was sent to it is on its way.
func (w *senderWatch) unheard(now time.Time, s *store.Sender) time.Duration {
	if s == nil || s.Reply == "" {
		w.reset()
		return 0
	}
	if s.PID != w.pid || s.Reply != w.reply || now.Sub(w.looked) > lookAtLeast {
		w.reset()
		w.pid, w.reply, w.since = s.PID, s.Reply, now
		if w.own && !s.RepliedAt.IsZero() && s.RepliedAt.Before(now) {
			w.since = s.RepliedAt
		}
	}
	w.looked = now
	if !s.Listens || !w.listened { // At two looks: what was sent just now may be on its way at one.
		w.listened = s.Listens
		return 0
	}
	return now.Sub(w.since)
}

func (w *senderWatch) reset() { *w = senderWatch{own: w.own} }

// watchLeader looks at the relay that has the slot, and ends its connection where that leads nowhere. It says whether it did, so that
// the slot is free.
func (r *Relay) watchLeader(ctx context.Context) (bool, error) {
	s, err := store.FindSender(ctx, r.db, r.cfg.Replication.Slot)
	if err != nil {
		r.watch = senderWatch{}
		return false, err
	}
	silent := r.watch.unheard(time.Now(), s)
	if silent < vanishedLeader || !s.IsRelay {
		return false, nil
	}
	r.log.Warn("the relay that leads is not heard of any more: taking over", "slot", r.cfg.Replication.Slot,
		"silent_for", silent.Round(time.Second).String())
	if err := store.EndSender(ctx, r.db, r.cfg.Replication.Slot, s.PID, endWithin); err != nil {
		r.log.Warn("cannot end its connection; the server does after wal_sender_timeout", "error", explain(err))
		r.watch = senderWatch{}
		return false, nil
	}
	return true, nil
}

// watchOwnSender ends the stream once the server, asked over another connection, has not heard of it for a while. Silence is
// for how long nothing has come from the server, or could not be listened to.
func (r *Relay) watchOwnSender(ctx context.Context, pid int, silence *atomic.Int64) error {
	w := senderWatch{own: true}
	asking := asker{config: r.db.Config().ConnConfig}
	defer asking.close()
	for {
		sleep(ctx, lookEvery)
		if ctx.Err() != nil {
			return nil
		}
		if time.Duration(silence.Load()) < suspectAfter {
			asking.close()
			w.reset()
			continue
		}
		s, err := asking.sender(ctx, r.cfg.Replication.Slot)
		if err != nil {
			w.reset()
			r.log.Debug("cannot ask whether the server hears the stream's connection", "error", explain(err))
			continue // The server is away altogether, or so it looks: its end of the connection may be well.
		}
		if s == nil || s.PID != pid || w.unheard(time.Now(), s) >= unheardAfter {
			return errUnheard
		}
	}
}

// asker asks over a connection of its own, made when it is needed: those of the pool may be as dead as the stream's.
type asker struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn
}

func (a *asker) sender(ctx context.Context, slot string) (s *store.Sender, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if a.conn == nil || a.conn.IsClosed() {
		if a.conn, err = pgx.ConnectConfig(ctx, a.config); err != nil {
			return nil, err
		}
	}
	return store.FindSender(ctx, a.conn, slot)
}

func (a *asker) close() {
	if a.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	_ = a.conn.Close(ctx) // Nothing is lost with it.
	a.conn = nil
}

// endOwnSender frees the slot of a stream that is over for this relay, and not for the server.
func (r *Relay) endOwnSender(ctx context.Context, pid int) {
	ctx, cancel := context.WithTimeout(ctx, endWithin+askWithin)
	defer cancel()
	if err := store.EndSender(ctx, r.db, r.cfg.Replication.Slot, pid, endWithin); err != nil {
		r.log.Warn("the server keeps the dead connection until wal_sender_timeout", "error", explain(err))
	}
}

// askPID returns the server's process of a connection. What the driver was told is another where a proxy stands in between.
func askPID(ctx context.Context, conn *pgconn.PgConn) (int, error) {
	results, err := conn.Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return 0, fmt.Errorf("ask for the process id: %w", err)
	}
	pid, err := strconv.Atoi(string(results[0].Rows[0][0]))
	if err != nil {
		return 0, fmt.Errorf("ask for the process id: %w", err)
	}
	return pid, nil
}
