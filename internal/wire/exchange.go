package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"
)

// exchange is one request and its answer.
type exchange struct {
	t        *Transport
	req      *http.Request
	gear     *gear
	started  time.Time
	deadline time.Time

	conn *conn
	rest int64       // How much of the request's body is left when the first write is done.
	sent chan error  // Tells how sending the rest ended; nil where there was none.
	stop func() bool // Ends the watch over the caller's context.
}

// run sends the request on a connection that was kept, or else on a new one.
func (x *exchange) run(to *route) (*http.Response, error) {
	x.deadline = x.started.Add(x.t.Timeout)
	ctx := x.req.Context()
	if err := x.load(); err != nil {
		closeBody(x.req)
		return nil, err
	}
	for ctx.Err() == nil {
		c := x.t.pool.get(to.origin, x.started, x.t.IdleTimeout)
		if c == nil {
			var err error
			if c, err = x.t.connect(ctx, to.origin, x.deadline); err != nil {
				closeBody(x.req)
				return nil, explain(ctx, x.deadline, err)
			}
		}
		resp, err := x.on(ctx, c)
		if err == nil {
			return resp, nil
		}
		if !errors.Is(err, errUnsent) {
			return nil, explain(ctx, x.deadline, err)
		}
	}
	closeBody(x.req)
	return nil, ctx.Err()
}

// load puts the request's body behind its head, so that both leave in one write; of a large one only the beginning.
func (x *exchange) load() error {
	n := x.req.ContentLength
	if n == 0 {
		return nil
	}
	first := min(n, int64(max(wholeMaxBytes-len(x.gear.out), 0)))
	x.rest = n - first
	return x.gear.fill(x.req.Body, int(first))
}

// errUnsent is of a kept connection on which not a byte could be written.
var errUnsent = errors.New("nothing was sent")

// on makes the exchange on c.
func (x *exchange) on(ctx context.Context, c *conn) (*http.Response, error) {
	x.conn = c
	_ = c.raw.SetDeadline(x.deadline)
	x.stop = context.AfterFunc(ctx, c.cut)
	n, failed := c.Write(x.gear.out)
	if failed != nil && n == 0 && c.kept && c.isPlain() {
		x.drop()
		x.t.pool.wary.Store(true)
		return nil, errUnsent
	}
	if failed == nil && x.rest > 0 {
		x.sendRest()
	} else {
		closeBody(x.req)
	}
	// Even where the request could not be written there may be an answer: the server had enough of it.
	h, err := x.read()
	if err != nil {
		x.drop()
		if failed != nil {
			return nil, failed
		}
		return nil, err
	}
	h.doubt = h.doubt || failed != nil
	return x.response(h), nil
}

// sendRest sends the rest of a large body while the answer is waited for: a server may answer before it has read all,
// and never read the rest.
func (x *exchange) sendRest() {
	c, body, rest := x.conn, x.req.Body, x.rest
	sent := make(chan error, 1)
	x.sent = sent
	go func() {
		n, err := io.Copy(c, io.LimitReader(body, rest))
		if err == nil && n < rest { // The server would wait for more until the deadline.
			err = errBodyLength
			c.cut()
		}
		_ = body.Close()
		sent <- err
	}()
}

// read reads the answer's head.
func (x *exchange) read() (*head, error) {
	in := &x.gear.in
	in.reset(x.conn)
	h, err := readHead(in, x.t.HeaderMaxBytes, x.t.Keep)
	if err == nil || !x.conn.kept || in.begun {
		return h, err
	}
	if isEnd(err) {
		x.t.pool.wary.Store(true)
		return nil, ErrKeptClosed
	}
	return nil, err
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// drop closes the connection, after which nothing of the exchange is left.
func (x *exchange) drop() {
	x.stop()
	x.conn.close()
}

// response makes the answer of what has been read of it, and lets go of the connection where no body follows.
func (x *exchange) response(h *head) *http.Response {
	b := &body{x: x, left: h.length, keep: h.keepAlive && !h.doubt}
	resp := &http.Response{
		StatusCode: h.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: h.minor,
		Header: h.header, ContentLength: h.length, Close: !b.keep, Body: b, Request: x.req,
	}
	if h.minor == 0 {
		resp.Proto = "HTTP/1.0"
	}
	switch {
	case h.length == 0:
		b.finish(io.EOF)
		resp.Body = http.NoBody
		return resp
	case h.chunked:
		b.chunks = newChunks(&x.gear.in)
	}
	if h.length < 0 || h.length > int64(x.gear.in.Buffered()) {
		_ = x.conn.raw.SetDeadline(time.Now().Add(x.t.BodyTimeout))
	}
	return resp
}

// sentWait is how long a connection whose answer has been read waits for the rest of the request to be noticed as sent.
const sentWait = 50 * time.Millisecond

// release gives the connection back where it can be used again, and closes it where not.
func (x *exchange) release(reusable bool) {
	reusable = x.stop() && reusable && x.gear.in.Buffered() == 0 && (x.sent == nil || reusable && x.allSent())
	c := x.conn
	x.gear.put()
	x.gear, x.conn = nil, nil
	if !reusable {
		c.close()
		return
	}
	c.kept = true
	x.t.pool.put(c, time.Now(), x.t.IdleTimeout, x.t.MaxIdlePerHost)
}

// allSent reports whether the rest of the request has been sent.
func (x *exchange) allSent() bool {
	patience := time.NewTimer(sentWait)
	defer patience.Stop()
	select {
	case err := <-x.sent:
		return err == nil
	case <-patience.C:
		return false
	}
}
