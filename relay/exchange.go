package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outboxrelay/relay/internal/wire"
	"github.com/outboxrelay/relay/outbox"
)

// exchange is one request on its way. It is the request's context too, so that the dialer can note how far it got, and
// the request's body.
type exchange struct {
	context.Context // The caller's.

	timeout time.Duration
	body    bytes.Reader
	stage   atomic.Int32 // How far the connection that is being made for it has got.

	webhook [3]string // The values of the three webhook headers.
}

const (
	stageLookup int32 = iota + 1
	stageConnect
	stageHandshake
	stageConnected
)

// request makes the HTTP request. The target's URL and headers are shared with other requests: nothing writes to them.
func (x *exchange) request(t *Target, userAgent []string, id, traceparent string, now time.Time, body []byte) *http.Request {
	timestamp := now.Unix()
	x.webhook = [3]string{id, strconv.FormatInt(timestamp, 10), signature(t.signers, id, timestamp, body)}
	header := make(http.Header, len(t.Header)+6)
	if traceparent != "" {
		header["Traceparent"] = []string{traceparent}
	}
	for name, values := range t.Header {
		header[name] = values
	}
	header["Content-Type"] = contentTypeJSON
	header["User-Agent"] = userAgent
	header["Webhook-Id"] = x.webhook[0:1:1]
	header["Webhook-Timestamp"] = x.webhook[1:2:2]
	header["Webhook-Signature"] = x.webhook[2:3:3]

	request := http.Request{
		Method: http.MethodPost, URL: t.URL, // and no Host, of which http.Client would make a URL for cookies
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody,
	}
	if len(body) > 0 {
		x.body.Reset(body)
		request.ContentLength = int64(len(body))
		request.Body = x
	}
	return request.WithContext(x)
}

var contentTypeJSON = []string{"application/json"}

// Read reads the request's body.
func (x *exchange) Read(p []byte) (int, error) { return x.body.Read(p) }

// Close ends the reading of the request's body.
func (x *exchange) Close() error { return nil }

// Value lets those who are handed the context find the exchange, and the transport how long it may take.
func (x *exchange) Value(key any) any {
	switch key.(type) {
	case exchangeKey:
		return x
	case wire.TimeoutKey:
		return x.timeout
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
	case errors.Is(err, wire.ErrTimeout):
		class, text = x.expiry(t)
	case x.Err() != nil:
		return outbox.ClassOther, "given up by the relay before there was an answer", true
	default:
		class, text = classify(err)
	}
	if query := t.URL.RawQuery; query != "" { // a server that sends nonsense may send back what it got
		text = strings.ReplaceAll(text, query, "...")
	}
	return class, text, false
}

// expiry says what the time went on.
func (x *exchange) expiry(t *Target) (outbox.ErrorClass, string) {
	switch x.stage.Load() {
	case stageLookup:
		return outbox.ClassDNS, fmt.Sprintf("lookup %s: no answer from the DNS server within %s", t.URL.Hostname(), x.timeout)
	case stageHandshake:
		return outbox.ClassTimeout, fmt.Sprintf("tls handshake not finished within %s", x.timeout)
	case stageConnect:
		return outbox.ClassTimeout, fmt.Sprintf("no connection within %s", x.timeout)
	default: // On a new connection, or on one that was there.
		return outbox.ClassTimeout, fmt.Sprintf("no answer within %s", x.timeout)
	}
}
