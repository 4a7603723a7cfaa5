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
	deadline time.Time

	conn *conn
	stop func() bool // Ends the watch over the caller's context.
	rest int64       // How much of the request's body does not fit into the first write.
	sent chan error  // Tells how sending the rest ended; nil where there was none.

	head head
	resp http.Response
	body body
}

// run sends the request on a connection that was kept, or else on a new one.
func (x *exchange) run(to *route) (*http.Response, error) {
	ctx := x.req.Context()
	if err := x.load(); err != nil {
		x.closeBody()
		return nil, err
	}
	for ctx.Err() == nil {
		c := x.t.pool.get(to.origin)
		if c == nil {
			var err error
			if c, err = x.t.connect(ctx, to.origin, x.deadline); err != nil {
				x.closeBody()
				return nil, explain(ctx, x.deadline, err)
			}
		}
		err := x.on(ctx, c)
		if err == nil {
			return x.response(), nil
		}
		x.drop()
		if !c.kept || !errors.Is(err, errUnsent) {
			x.closeBody()
			return nil, explain(ctx, x.deadline, err)
		}
	}
	x.closeBody()
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

// errUnsent is of a kept connection on which not a byte was written.
var errUnsent = errors.New("nothing was sent")

// on sends the request on c and reads the answer's head.
func (x *exchange) on(ctx context.Context, c *conn) error {
	x.conn, x.sent = c, nil
	x.stop = context.AfterFunc(ctx, c.cut)
	if c.kept && !c.isPlain() && !c.isDrained() {
		return errUnsent
	}
	_ = c.raw.SetDeadline(x.deadline)
	failed := c.send(x.gear.out, x.rest == 0)
	switch {
	case errors.Is(failed, errUnsent):
		return failed
	case failed == nil && x.rest > 0:
		x.sendRest()
	}
	// Even where the request could not be written there may be an answer: the server had enough of it.
	err := x.read()
	x.head.doubt = x.head.doubt || failed != nil
	if err != nil && failed != nil {
		return failed
	}
	return err
}

// sendRest sends the rest of a large body while the answer is waited for: a server may answer before it has read all,
// and never read the rest.
func (x *exchange) sendRest() {
	c, body, rest := x.conn, x.req.Body, x.rest
	sent := make(chan error, 1)
	x.sent = sent
	go func() {
		n, err := io.Copy(c.Conn, io.LimitReader(body, rest))
		if err == nil && n < rest { // The server would wait for more until the deadline.
			err = errBodyLength
			c.cut()
		}
		_ = body.Close()
		sent <- err
	}()
}

// closeBody closes the request's body, unless the rest of it is being sent: then it is closed after that.
func (x *exchange) closeBody() {
	if x.sent == nil {
		closeBody(x.req)
	}
}

// read reads the answer's head.
func (x *exchange) read() error {
	in := &x.gear.in
	in.reset(x.conn)
	err := readHead(&x.head, in, x.t.HeaderMaxBytes, x.t.Keep)
	if x.conn.kept && !in.begun && isEnd(err) {
		return ErrKeptClosed
	}
	return err
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// drop closes the connection.
func (x *exchange) drop() {
	x.stop()
	x.conn.close()
}

// response makes the answer of what has been read of it, and lets go of the connection where no body follows.
func (x *exchange) response() *http.Response {
	x.closeBody()
	h := &x.head
	b := &x.body
	*b = body{x: x, left: h.length, keep: h.keepAlive && !h.doubt}
	x.resp = http.Response{
		StatusCode: h.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: h.minor,
		Header: h.header, ContentLength: h.length, Close: !b.keep, Body: b, Request: x.req,
	}
	if h.minor == 0 {
		x.resp.Proto = "HTTP/1.0"
	}
	switch {
	case h.length == 0:
		b.finish(io.EOF)
		x.resp.Body = http.NoBody
		return &x.resp
	case h.chunked:
		b.chunks = newChunks(&x.gear.in)
	}
	if h.length < 0 || h.length > int64(x.gear.in.Buffered()) {
		_ = x.conn.raw.SetDeadline(time.Now().Add(x.t.BodyTimeout))
	}
	return &x.resp
}

// sentWait is how long a connection whose answer has been read waits for the rest of the request to be noticed as sent.
const sentWait = 50 * time.Millisecond

// release gives the connection back where it can be used again, and closes it where not.
func (x *exchange) release(reusable bool) {
	c, g := x.conn, x.gear
	reusable = x.stop() && reusable && g.in.Buffered() == 0 && x.allSent()
	x.conn, x.gear = nil, nil
	g.put()
	now := time.Now()
	if !reusable || x.t.MaxAge > 0 && now.Sub(c.madeAt) > x.t.MaxAge {
		c.close()
		return
	}
	c.kept = true
	x.t.pool.put(c, now, x.t.IdleTimeout, x.t.MaxIdlePerHost)
}

// allSent reports whether the rest of the request has been sent.
func (x *exchange) allSent() bool {
	if x.sent == nil {
		return true
	}
	patience := time.NewTimer(sentWait)
	defer patience.Stop()
	select {
	case err := <-x.sent:
		return err == nil
	case <-patience.C:
		return false
	}
}
