// Package receiver is what tests deliver to: subscribers on loopback that keep a journal, and scripted ones that behave
// as badly as real ones do.
package receiver

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// waitTimeout is what WaitFor allows: far more than anything waited for takes, on a machine that is busy.
const waitTimeout = 60 * time.Second

// maxBodyBytes is what is read of a request: more than any test sends.
const maxBodyBytes = 64 << 20

// Request is one that a Receiver got.
type Request struct {
	ID     string // webhook-id
	At     time.Time
	Method string
	Path   string
	Query  string
	Host   string
	Remote string // The sender's host and port: one for each connection.
	Header http.Header
	Body   []byte
}

// Verify checks the request's signature as a subscriber would, with the reference library. secret is whsec_….
func (r Request) Verify(secret string) error {
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	return webhook.Verify(r.Body, r.Header)
}

// Receiver is an HTTP server on a loopback port that writes down every request once its body has arrived, and then
// answers as it was last told to. All methods may be called at any time, by several goroutines; those that may fail the
// test only by the test's own.
type Receiver struct {
	t       testing.TB
	address string
	held    bool // Nobody else gets the port while the receiver is down.

	mu       sync.Mutex
	server   *http.Server // nil while down
	listener net.Listener // The server's; it may not know it yet.
	handler  http.Handler
	status   int
	delay    time.Duration
	hang     chan struct{} // closed to let go of the requests that hang; nil where none do
	noBodies bool
	requests []Request
	counts   map[string]int
	arrived  chan struct{} // closed, and made anew, at each request
}

// New starts a receiver, which stops when the test ends. It answers 200 where h is nil; h finds the body read already
// into what r.Body gives.
func New(t testing.TB, h http.Handler) *Receiver {
	t.Helper()
	r := &Receiver{
		t: t, address: "127.0.0.1:0", handler: h, status: http.StatusOK,
		counts: make(map[string]int), arrived: make(chan struct{}),
	}
	r.Up()
	t.Cleanup(func() {
		r.Release()
		r.Down()
	})
	return r
}

// URL is where to deliver to.
func (r *Receiver) URL() string { return "http://" + r.Address() + "/hook" }

// Address is the host and port.
func (r *Receiver) Address() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.address
}

// SetHandler lets h answer from now on; nil: the status set.
func (r *Receiver) SetHandler(h http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler = h
}

// SetStatus answers with this code from now on, instead of by a handler.
func (r *Receiver) SetStatus(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler, r.status = nil, code
}

// SetDelay answers that much later from now on.
func (r *Receiver) SetDelay(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

// SkipBodies no longer keeps the bodies, for tests that send more than fits into memory.
func (r *Receiver) SkipBodies() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noBodies = true
}

// Hang answers nothing from now on: requests are taken and written down, and then nothing comes until Release.
func (r *Receiver) Hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hang == nil {
		r.hang = make(chan struct{})
	}
}

// Release ends Hang: the requests that hang are answered, and so are those to come.
func (r *Receiver) Release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hang != nil {
		close(r.hang)
		r.hang = nil
	}
}

// Down cuts all connections and refuses new ones. The port stays the receiver's.
func (r *Receiver) Down() {
	r.mu.Lock()
	server, listener := r.server, r.listener
	r.server = nil
	r.mu.Unlock()
	if server != nil {
		_ = listener.Close()
		_ = server.Close()
	}
}

// Up ends Down, on the same port.
func (r *Receiver) Up() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		return
	}
	config := net.ListenConfig{Control: shared}
	listener, err := config.Listen(context.Background(), "tcp", r.address)
	if err == nil && !r.held {
		var release func()
		if release, err = hold(listener.Addr()); err == nil {
			r.held = true
			r.t.Cleanup(release)
		}
	}
	if err != nil {
		r.t.Fatalf("receiver: %v", err)
	}
	r.address = listener.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(r.serve)}
	r.server, r.listener = server, listener
	go func() { _ = server.Serve(listener) }()
}

// Requests returns what has arrived, in this order.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}

// Len is the number of requests that have arrived.
func (r *Receiver) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.requests)
}

// IDs returns the ids that have arrived, each once, in the order of their first arrival.
func (r *Receiver) IDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.counts))
	seen := make(map[string]bool, len(r.counts))
	for _, request := range r.requests {
		if !seen[request.ID] {
			seen[request.ID] = true
			ids = append(ids, request.ID)
		}
	}
	return ids
}

// Count is how often id has arrived.
func (r *Receiver) Count(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[id]
}

// WaitFor waits until n requests have arrived, repeated ones counted, and returns all there are by then. The test fails
// where they don't come within a minute.
func (r *Receiver) WaitFor(n int) []Request {
	r.t.Helper()
	timeout := time.After(waitTimeout)
	for {
		r.mu.Lock()
		got, arrived := len(r.requests), r.arrived
		r.mu.Unlock()
		if got >= n {
			return r.Requests()
		}
		select {
		case <-arrived:
		case <-timeout:
			r.t.Fatalf("receiver: %d requests after %s, want %d", got, waitTimeout, n)
		}
	}
}

func (r *Receiver) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxBodyBytes))
	if err != nil {
		return // cut off half way: not a request that arrived
	}
	handler, status, delay, hang := r.record(request, body)
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-request.Context().Done():
			return
		}
	}
	if hang != nil {
		select {
		case <-hang:
		case <-request.Context().Done():
			return
		}
	}
	if handler != nil {
		request.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, request)
		return
	}
	w.WriteHeader(status)
}

// record writes the request down and returns how to answer it.
func (r *Receiver) record(request *http.Request, body []byte) (http.Handler, int, time.Duration, chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := request.Header.Get("Webhook-Id")
	entry := Request{
		ID: id, At: time.Now(), Method: request.Method, Path: request.URL.Path, Query: request.URL.RawQuery,
		Host: request.Host, Remote: request.RemoteAddr, Header: request.Header, Body: body,
	}
	if r.noBodies {
		entry.Body = nil
	}
	r.requests = append(r.requests, entry)
	r.counts[id]++
	close(r.arrived)
	r.arrived = make(chan struct{})
	return r.handler, r.status, r.delay, r.hang
}
