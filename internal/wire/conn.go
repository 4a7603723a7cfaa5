package wire

import (
	"net"
	"syscall"
	"time"
)

// conn is a connection to a server.
type conn struct {
	net.Conn // What is read and written: raw, or TLS over it.

	raw       net.Conn
	origin    origin
	kept      bool // Has had an exchange before.
	idleSince time.Time

	cut   func() // Ends whatever is going on, from another goroutine.
	ask   func(fd uintptr)
	sys   syscall.RawConn
	quiet bool // What ask found: open, and nothing to read.
}

// tlsConn is what TLS connections have beyond others.
type tlsConn interface{ NetConn() net.Conn }

func newConn(nc net.Conn, to origin) *conn {
	c := &conn{Conn: nc, raw: nc, origin: to}
	if over, ok := nc.(tlsConn); ok {
		c.raw = over.NetConn()
	}
	c.cut = func() { _ = c.raw.Close() }
	if sc, ok := c.raw.(syscall.Conn); ok {
		c.sys, _ = sc.SyscallConn()
	}
	c.ask = func(fd uintptr) { c.quiet = isQuiet(fd) }
	return c
}

func (c *conn) isPlain() bool { return c.Conn == c.raw }

// alive reports whether an idle connection is open, with nothing on it that nobody asked for.
func (c *conn) alive() bool {
	if c.sys == nil {
		return true
	}
	c.quiet = false
	return c.sys.Control(c.ask) == nil && c.quiet
}

// close ends the connection at once; for TLS without saying so, since nothing that matters is on its way.
func (c *conn) close() { _ = c.raw.Close() }
