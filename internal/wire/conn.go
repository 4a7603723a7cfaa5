package wire

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is a connection to a server. Only cut may be called beside anything else.
type conn struct {
	net.Conn // What is written and read: raw, or TLS over it.

	raw       net.Conn
	origin    origin
	budget    *Budget
	closed    atomic.Bool
	kept      bool // Has had an exchange before.
	madeAt    time.Time
	idleSince time.Time

	sys  syscall.RawConn // nil where there is none.
	cut  func()          // Ends whatever is going on.
	step func(fd uintptr) (done bool)
	turn turn
}

// tlsConn is what TLS connections have beyond others.
type tlsConn interface{ NetConn() net.Conn }

// newConn returns a connection that budget has counted.
func newConn(nc net.Conn, to origin, budget *Budget) *conn {
	c := &conn{Conn: nc, raw: nc, origin: to, budget: budget, madeAt: time.Now()}
	if over, ok := nc.(tlsConn); ok {
		c.raw = over.NetConn()
	}
	if sc, ok := c.raw.(syscall.Conn); ok {
		c.sys, _ = sc.SyscallConn()
	}
	c.cut = c.close
	c.step = c.turn.step
	return c
}

// close ends the connection at once; for TLS without saying so, since nothing that matters is on its way.
func (c *conn) close() {
	_ = c.raw.Close()
	if c.closed.CompareAndSwap(false, true) {
		c.budget.give()
	}
}

func (c *conn) isPlain() bool { return c.Conn == c.raw }

// send writes request. On a kept connection, it does so only if that is open and has nothing on it that nobody asked
// for; where not a byte was written, it says errUnsent.
//
// A whole request on a plain connection is left for the first Read to write, and send says nothing yet.
func (c *conn) send(request []byte, whole bool) error {
	switch {
	case c.kept && whole && c.isPlain() && c.sys != nil && canTurn:
		c.turn = turn{request: request}
		return nil
	case c.kept && !c.isQuiet():
		return errUnsent
	}
	n, err := c.Write(request)
	if err != nil && n == 0 && c.kept && c.isPlain() {
		return errUnsent
	}
	return err
}

// isQuiet reports whether an idle connection is open, with nothing on it to read. What it finds if there is something is
// lost, and the connection of no more use.
func (c *conn) isQuiet() bool {
	if c.sys == nil || !canTurn {
		return true // The write tells.
	}
	quiet := false
	err := c.sys.Control(func(fd uintptr) { quiet = isQuiet(fd, make([]byte, 1)) })
	return err == nil && quiet
}

// isDrained reports whether TLS has nothing in hand of what it read from the socket with the last answer: more that nobody
// asked for, or the server's word that it says no more. It leaves a deadline behind.
func (c *conn) isDrained() bool {
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // Long ago: nothing is read from the socket.
	n, err := c.Conn.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// Read reads, and before that writes the request that is left to be written. An error of writing is not told if there
// is an answer all the same.
func (c *conn) Read(p []byte) (int, error) {
	t := &c.turn
	if t.request == nil {
		return c.Conn.Read(p)
	}
	t.answer = p
	err := c.sys.Read(c.step)
	request, written := t.request, t.written
	t.request, t.answer = nil, nil
	switch {
	case err != nil && written == 0, t.stale:
		return 0, errUnsent
	case err != nil:
		return 0, err
	case written == len(request):
		return t.n, t.err
	}
	// It did not go out at once: the connection is slow, or broken.
	n, failed := c.Write(request[written:])
	if failed != nil && written+n == 0 {
		return 0, errUnsent
	}
	n, err = c.Conn.Read(p)
	if err != nil && failed != nil {
		err = failed
	}
	return n, err
}

// turn is a request and the beginning of its answer on a kept connection, with as few system calls as can be. It reads
// nothing first, which shows that the connection is open and that whatever comes from then on wakes who waits for it;
// then it writes, and reads no sooner than something has come.
type turn struct {
	request []byte
	answer  []byte // Where the beginning of the answer goes.

	asked   bool // Whether there is something to read already.
	stale   bool // There was, or the connection has ended.
	written int
	n       int
	err     error
}
