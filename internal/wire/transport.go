// Package wire is an HTTP/1.1 client for short requests to servers that nobody vouches for. A Transport stands in for
// net/http's under an http.Client; it does less, and takes a fraction of the CPU time.
//
// An exchange is one write and one read by the goroutine that asks for it; a connection has no goroutine of its own. Only
// what decides the outcome is kept of an answer: its status code, the headers asked for, and the body as far as it is read.
// There are no proxies, redirects, cookies, compression, HTTP/2, trailers or protocol switches.
//
// # Sent once
//
// A kept connection is asked whether it still lives before it is used again. Once anything of a request has been written,
// it is not sent again, whatever becomes of it.
//
// # Doubt
//
// A status line or a header that can't be made out ends the exchange with a ProtocolError. Where an answer is clear enough
// to be one, but not beyond doubt as to where it ends, or where more came than it says, the connection is closed and not
// used again: what one answer leaves behind never becomes the next.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// DialFunc makes a connection to address, host and port, before ctx is done.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Transport is an http.RoundTripper. Its fields must not be changed once it is in use. Several goroutines may use it.
//
// Of a request it takes Method, URL, Host, Header, ContentLength and Body; the length of a body must be known. It refuses
// headers that speak of the connection or of the message's length, and names and values that would break out of a line.
//
// Of a response it sets StatusCode, Proto, Header (only what Keep names), ContentLength, Close, Body and Request. Body may
// be read and closed by one goroutine at a time, and is no longer for use once closed.
type Transport struct {
	Dial    DialFunc // For http. Required.
	DialTLS DialFunc // For https: makes the handshake too. Required.

	Timeout        time.Duration // For an exchange until the answer's headers have come; see TimeoutKey. Required.
	BodyTimeout    time.Duration // For the body after that. Required.
	HeaderMaxBytes int           // Of status line and headers, informational answers included. Required.
	Keep           []string      // The headers of an answer that callers get, in canonical form.

	IdleTimeout    time.Duration // How long a connection is kept for use again. Required.
	MaxAge         time.Duration // How old a connection is kept at most; an older one is closed after its exchange. 0: no bound.
	MaxIdlePerHost int           // How many are kept for each host and port. 0: none.
	Budget         *Budget       // Of all transports that share it. nil: no bound.

	route atomic.Pointer[route]
	pool  pool
}

// TimeoutKey is the key of a time.Duration in a request's context that takes the place of Transport.Timeout.
type TimeoutKey struct{}

func (t *Transport) timeout(ctx context.Context) time.Duration {
	if own, ok := ctx.Value(TimeoutKey{}).(time.Duration); ok {
		return own
	}
	return t.Timeout
}

var (
	// ErrTimeout is of an exchange that got no answer within its timeout. The error that says what was going on at
	// the time is wrapped beside it.
	ErrTimeout = errors.New("no answer in time")
	// ErrKeptClosed is of a request that was written to a kept connection just as the server closed it.
	ErrKeptClosed = errors.New("the server closed the kept connection as the request was on its way")
)

// RoundTrip sends req, once, and returns as soon as the answer's headers are there. It gives up when req's context is
// done, and then returns its error.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := t.routeOf(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	g := gears.Get().(*gear)
	if g.out, err = appendHead(append(g.out[:0], to.start...), req); err != nil {
		closeBody(req)
		g.put()
		return nil, err
	}
	x := &exchange{t: t, req: req, gear: g, deadline: time.Now().Add(t.timeout(req.Context()))}
	resp, err := x.run(to)
	if err != nil {
		g.put()
	}
	return resp, err
}

// CloseIdleConnections closes the connections that are not in use.
func (t *Transport) CloseIdleConnections() { t.pool.closeAll() }

// connect makes a new connection.
func (t *Transport) connect(ctx context.Context, to origin, deadline time.Time) (*conn, error) {
	dial := t.Dial
	if to.https {
		dial = t.DialTLS
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	t.Budget.take()
	c, err := dial(ctx, "tcp", to.address)
	if err != nil {
		t.Budget.give()
		return nil, err
	}
	return newConn(c, to, t.Budget), nil
}

// explain says of err what kind of end it was: the caller's wish, the deadline, or what err says.
func explain(ctx context.Context, deadline time.Time, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isDialTimeout(err):
		if !time.Now().Before(deadline) {
			return fmt.Errorf("%w: %w", ErrTimeout, err)
		}
	}
	return err
}

// isDialTimeout knows the timeouts of the resolver, which wrap nothing.
func isDialTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// gear is what an exchange works with and gives back: memory for the request, and the reader of the answer.
type gear struct {
	out []byte
	in  lineReader
}

const (
	// wholeMaxBytes of a request leave in one write. It is no more than what the kernel takes on an idle connection
	// without the server reading any of it, so that an answer is seen even from a server that reads nothing.
	wholeMaxBytes = 16 << 10
	// gearMaxBytes is what a request may have taken for its memory to be used again.
	gearMaxBytes = 64 << 10
)

var gears = sync.Pool{New: func() any {
	return &gear{out: make([]byte, 0, 2<<10), in: newLineReader()}
}}

func (g *gear) put() {
	g.in.reset(nil)
	if cap(g.out) <= gearMaxBytes {
		gears.Put(g)
	}
}

var errBodyLength = errors.New("the request's body is not as long as it says")

// fill appends n bytes of body to g.out.
func (g *gear) fill(body io.Reader, n int) error {
	start := len(g.out)
	g.out = append(g.out, make([]byte, n)...)
	if _, err := io.ReadFull(body, g.out[start:]); err != nil {
		return errBodyLength
	}
	return nil
}
