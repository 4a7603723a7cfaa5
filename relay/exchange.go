package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outboxrelay/relay/outbox"
)

// exchange is one request on its way. It is the request's context too, so that the dialer can note how far it got.
type exchange struct {
	context.Context
	caller  context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	timeout time.Duration

	body   []byte
	reader bytes.Reader
	stage  atomic.Int32 // How far the connection that is being made for it has got.

	webhook [3]string // The values of the three webhook headers.
}

const (
	stageLookup int32 = iota + 1
	stageConnect
	stageHandshake
	stageConnected
)

var (
	errNoAnswer = errors.New("no answer in time")
	errFinished = errors.New("exchange finished")
)

func newExchange(caller context.Context, timeout time.Duration, body []byte) *exchange {
	x := &exchange{caller: caller, timeout: timeout, body: body}
	x.Context, x.cancel = context.WithCancelCause(caller)
	x.timer = time.AfterFunc(timeout, x.expire)
	return x
}

func (x *exchange) expire() { x.cancel(errNoAnswer) }

// finish releases what the exchange holds.
func (x *exchange) finish() {
	x.timer.Stop()
	x.cancel(errFinished)
}

// request makes the HTTP request. The target's URL and headers are shared with other requests: nothing writes to them.
func (x *exchange) request(t *Target, userAgent []string, id string, now time.Time) *http.Request {
	timestamp := now.Unix()
	x.webhook = [3]string{id, strconv.FormatInt(timestamp, 10), signature(t.Secrets, id, timestamp, x.body)}
	header := make(http.Header, len(t.Header)+5)
	for name, values := range t.Header {
		header[name] = values
	}
	header["Content-Type"] = contentTypeJSON
	header["User-Agent"] = userAgent
	header["Webhook-Id"] = x.webhook[0:1:1]
	header["Webhook-Timestamp"] = x.webhook[1:2:2]
	header["Webhook-Signature"] = x.webhook[2:3:3]

	request := http.Request{
		Method: http.MethodPost, URL: t.URL, Host: t.URL.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody,
	}
	if len(x.body) > 0 {
		request.ContentLength = int64(len(x.body))
		request.Body, _ = x.rewind()
		request.GetBody = x.rewind
	}
	return request.WithContext(x)
}

var contentTypeJSON = []string{"application/json"}

// rewind gives the request body from its start; net/http asks again where a connection was dead before anything was
// written. It is of a type that net/http knows to lie in memory: headers and body then leave in one write.
func (x *exchange) rewind() (io.ReadCloser, error) {
	x.reader.Reset(x.body)
	return io.NopCloser(&x.reader), nil
}

// Value lets those who are handed the context find the exchange.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

type exchangeKey struct{}

// enterStage notes how far the connection has got that is being made for the exchange in ctx.
func enterStage(ctx context.Context, stage int32) {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.stage.Store(stage)
	}
}

// failure says why err came instead of an answer.
func (x *exchange) failure(err error, t *Target) (class outbox.ErrorClass, text string, aborted bool) {
	switch {
	case errors.Is(context.Cause(x), errNoAnswer):
		class, text = x.expiry(t)
	case x.caller.Err() != nil:
		return outbox.ClassOther, "given up by the relay before there was an answer", true
	default:
		class, text = classify(err)
	}
	if query := t.URL.RawQuery; query != "" { // a server that sends nonsense may send back what it got
		text = strings.ReplaceAll(text, query, "…")
	}
	return class, text, false
}

// expiry says what the time went on.
func (x *exchange) expiry(t *Target) (outbox.ErrorClass, string) {
	stage := x.stage.Load()
	switch {
	case stage == stageLookup:
		return outbox.ClassDNS, fmt.Sprintf("lookup %s: no answer from the DNS server within %s", t.URL.Hostname(), x.timeout)
	case stage == stageHandshake:
		return outbox.ClassTimeout, fmt.Sprintf("tls handshake not finished within %s", x.timeout)
	case stage == stageConnect:
		return outbox.ClassTimeout, fmt.Sprintf("no connection within %s", x.timeout)
	default: // On a new connection, or on one that was there.
		return outbox.ClassTimeout, fmt.Sprintf("no answer within %s", x.timeout)
	}
}
