package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/outboxrelay/relay/internal/failpoint"
)

const (
	// statusEvery is how often the server hears from us, whatever deliveries do: far below the shortest sensible
	// wal_sender_timeout (default 60 s), and quick enough that little is read again after a crash.
	statusEvery = time.Second

	// replyEvery bounds how often a server that asks is answered while there is nothing new to say: one that is shutting
	// down asks tens of thousands of times a second.
	replyEvery = 10 * time.Millisecond

	// askedInVain is how often the server may ask for a position that cannot be persisted, until the stream is given up: one
	// that is shutting down waits for the answer, and takes no writes. Otherwise it asks once in wal_sender_timeout, if at all.
	askedInVain = 1000

	// readFor is how long a read may wait before the tailer looks around.
	readFor = 100 * time.Millisecond

	// gatherFor is the same while deliveries wait to be looked up together.
	gatherFor = 2 * time.Millisecond
)

// tailer owns the replication connection alone: it reads, hands rows to the router, and confirms positions.
type tailer struct {
	conn    *pgconn.PgConn
	status  func(context.Context, pglogrepl.StandbyStatusUpdate) error // Sends it to the server.
	log     *slog.Logger
	router  *router
	tracker *tracker
	metrics *metrics
	room    <-chan struct{} // The dispatcher's: there may be room again.
	pulse   *pulse

	// persisted is the position that relay_state knows of: no later one is confirmed, or the slot would look like somebody
	// else's after a crash. hurry asks for it to be brought up to date at once.
	persisted *atomic.Uint64
	hurry     chan struct{}

	slot      string        // Its name.
	deadAfter time.Duration // See there.

	relations map[uint32]*relation
	row       tuple
	tx        *transaction  // The transaction being read; nil between two.
	lastRead  pglogrepl.LSN // The commit of the last transaction that was begun to be read.
	serverEnd pglogrepl.LSN
	safe      atomic.Uint64 // What could be confirmed now, for whoever persists it.
	sent      pglogrepl.LSN
	sentAt    time.Time
	heardAt   time.Time    // When the server was last heard of, or could not be.
	readAt    time.Time    // When something last came from it.
	silence   atomic.Int64 // For how long nothing had come, in nanoseconds, when it was last spoken to.
	asked     int          // How often the server has asked since a position was confirmed.
	unknown   map[byte]bool
}

// run reads until ctx ends or the connection does. It returns ctx's cause, or what ended the stream.
func (t *tailer) run(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !t.pulse.alive(time.Now()) {
			return errHeldStill
		}
		if err := t.speak(false); err != nil {
			return err
		}
		if err := t.readSome(ctx); err != nil {
			return err
		}
	}
}

// readSome handles messages until the read deadline passes, or it is time to speak to the server.
func (t *tailer) readSome(ctx context.Context) error {
	wait := readFor
	if len(t.router.lookups) > 0 {
		wait = gatherFor
	}
	deadline := time.Now().Add(wait)
	if err := t.conn.Conn().SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	for n := 0; n < 1000; n++ {
		msg, err := t.conn.ReceiveMessage(context.Background())
		now := time.Now()
		if !t.pulse.alive(now) {
			return errHeldStill
		}
		if isTimeout(err) {
			return t.router.lookUp(ctx)
		}
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		t.heardAt, t.readAt = now, now
		if err := t.handle(ctx, msg); err != nil {
			return err
		}
		if ctx.Err() != nil || t.heardAt.Sub(t.sentAt) > statusEvery {
			return nil
		}
	}
	return nil
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (t *tailer) handle(ctx context.Context, msg pgproto3.BackendMessage) error {
	switch msg := msg.(type) {
	case *pgproto3.CopyData:
		if len(msg.Data) == 0 {
			return nil
		}
		switch msg.Data[0] {
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			return t.keepalive(msg.Data[1:])
		case pglogrepl.XLogDataByteID:
			xld, err := pglogrepl.ParseXLogData(msg.Data[1:])
			if err != nil {
				return fmt.Errorf("read the stream: %w", err)
			}
			return t.decode(ctx, xld.WALData)
		}
	case *pgproto3.ErrorResponse:
		return pgconn.ErrorResponseToPgError(msg)
	case *pgproto3.CopyDone:
		return errors.New("the server ended the stream")
	}
	return nil
}

// keepalive notes how far the server has come. What it has sent before is all read, so between transactions its position
// may be confirmed once everything read is settled.
func (t *tailer) keepalive(data []byte) error {
	ka, err := pglogrepl.ParsePrimaryKeepaliveMessage(data)
	if err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	if t.tx == nil {
		t.serverEnd = max(t.serverEnd, ka.ServerWALEnd)
	}
	if ka.ReplyRequested {
		return t.speak(true)
	}
	return nil
}

// decode handles one message of the output plugin. Nothing that a row holds stops the stream.
func (t *tailer) decode(ctx context.Context, wal []byte) error {
	if len(wal) == 0 {
		return nil
	}
	switch pglogrepl.MessageType(wal[0]) {
	case pglogrepl.MessageTypeInsert:
		return t.insert(ctx, wal)
	case pglogrepl.MessageTypeBegin:
		var m pglogrepl.BeginMessage
		if err := m.Decode(wal[1:]); err != nil {
			return fmt.Errorf("read a transaction's begin: %w", err)
		}
		t.tx, t.lastRead = t.tracker.begin(m.Xid, m.FinalLSN, m.CommitTime), m.FinalLSN
		failpoint.Hit("tailer/after-begin")
	case pglogrepl.MessageTypeCommit:
		var m pglogrepl.CommitMessage
		if err := m.Decode(wal[1:]); err != nil {
			return fmt.Errorf("read a transaction's commit: %w", err)
		}
		if t.tx == nil {
			return errOutside
		}
		if err := t.router.commit(ctx); err != nil {
			return err
		}
		t.tracker.commit(t.tx, m.TransactionEndLSN)
		t.serverEnd = max(t.serverEnd, m.TransactionEndLSN)
		t.tx = nil
		failpoint.Hit("tailer/after-commit")
	case pglogrepl.MessageTypeRelation:
		m, err := decodeRelation(wal)
		if err != nil {
			return fmt.Errorf("read a table's description: %w", err)
		}
		rel, err := newRelation(m)
		if err != nil {
			return t.undecodable(err) // Not passed over: its rows would be lost.
		}
		t.relations[m.RelationID] = rel
	default:
		t.ignore(wal[0])
	}
	return nil
}

// undecodable adds what is left to do where the fault itself is mended: what was written meanwhile stays as it is.
func (t *tailer) undecodable(err error) error {
	return fmt.Errorf("%w; where that is done already, the WAL written meanwhile cannot be decoded: run "+
		"`SELECT pg_drop_replication_slot('%s')`, and the relay makes the slot anew and looks in the outbox for what is missing", err, t.slot)
}

var errOutside = errors.New("read the stream: a row or a commit outside a transaction")

// insert routes a row of one of our two tables.
func (t *tailer) insert(ctx context.Context, wal []byte) error {
	if t.tx == nil {
		return errOutside
	}
	if err := decodeInsert(wal, t.relations, &t.row); err != nil {
		t.skip("a row", err)
		return nil
	}
	switch rel := t.row.rel; {
	case rel.schema == "outbox" && rel.table == "events":
		row, err := decodeEvent(&t.row)
		if err != nil {
			t.skip("an event", err)
			return nil
		}
		err = t.router.event(ctx, t.tx, row)
		failpoint.Hit("tailer/after-row")
		return err
	case rel.schema == "outbox" && rel.table == "subscription_changes":
		row, err := decodeChange(&t.row)
		if err != nil {
			t.skip("a subscription change", err)
			return nil
		}
		return t.router.change(ctx, t.tx, row)
	default:
		t.ignore(wal[0])
		return nil
	}
}

func (t *tailer) skip(what string, err error) {
	t.metrics.rowsSkipped.Inc()
	t.log.Error("cannot read "+what+"; passed over", "error", err, "commit_lsn", t.tx.commit.String())
}

func (t *tailer) ignore(kind byte) {
	t.metrics.messagesIgnored.Inc()
	if !t.unknown[kind] {
		t.unknown[kind] = true
		t.log.Warn("ignored a message that the stream should not hold", "kind", string(rune(kind)))
	}
}

// confirmable returns the position up to which everything stands in the database.
func (t *tailer) confirmable() pglogrepl.LSN {
	position, drained := t.tracker.settled()
	if drained && t.tx == nil && len(t.router.lookups) == 0 {
		position = max(position, t.serverEnd)
	}
	return position
}

// speak tells the server how far we are, if there is something to tell or it is time to.
func (t *tailer) speak(asked bool) error {
	position := t.confirmable()
	t.safe.Store(uint64(position))
	confirm := max(t.sent, min(position, pglogrepl.LSN(t.persisted.Load())))
	if asked && position > confirm {
		if t.asked++; t.asked > askedInVain {
			return errors.New("the server asks for a position that it lets nobody write down: it is going down")
		}
		select {
		case t.hurry <- struct{}{}:
		default:
		}
	}
	now := time.Now()
	quiet := now.Sub(t.sentAt)
	if confirm == t.sent && quiet < statusEvery && (!asked || quiet < replyEvery) {
		return nil
	}
	if confirm > t.sent && !asked && quiet < replyEvery {
		return nil
	}
	if now.Sub(t.heardAt) > t.deadAfter {
		return errors.New("the server has gone silent")
	}
	return t.send(confirm, now)
}

// send confirms a position. All three are set: pglogrepl would fill the flushed from the written.
func (t *tailer) send(position pglogrepl.LSN, now time.Time) error {
	err := t.status(context.Background(), pglogrepl.StandbyStatusUpdate{
		WALWritePosition: position, WALFlushPosition: position, WALApplyPosition: position, ClientTime: now,
		ReplyRequested: now.Sub(t.heardAt) > askAfter,
	})
	if err != nil {
		return fmt.Errorf("confirm a position: %w", err)
	}
	if position > t.sent {
		failpoint.Hit("tailer/after-confirm")
		t.asked = 0
	}
	t.sent, t.sentAt = position, now
	t.silence.Store(int64(now.Sub(t.readAt)))
	return nil
}

// pause waits until there may be room, at most d, and goes on speaking to the server meanwhile.
func (t *tailer) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(min(d, statusEvery))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.room:
	case <-timer.C:
	}
	t.heardAt = time.Now() // We did not listen.
	if t.heardAt.Sub(t.sentAt) < statusEvery/2 {
		return nil
	}
	return t.speak(false)
}

// beside does something that may take its time, and goes on speaking to the server meanwhile.
func (t *tailer) beside(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() { defer close(done); err = do(ctx) }()
	for {
		select {
		case <-done:
			return err
		case <-time.After(statusEvery):
		}
		t.heardAt = time.Now() // We did not listen.
		if err := t.speak(false); err != nil {
			cancel()
			<-done
			return err
		}
	}
}

// finish confirms what is settled and ends the stream in order, so that the server has heard it before the connection
// closes.
func (t *tailer) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	position := t.confirmable()
	if err := t.conn.Conn().SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if err := t.send(max(t.sent, min(position, pglogrepl.LSN(t.persisted.Load()))), time.Now()); err != nil {
		return err
	}
	_, err := pglogrepl.SendStandbyCopyDone(ctx, t.conn)
	return err
}
