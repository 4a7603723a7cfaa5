//go:build unix

package demo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// subscriber is a receiver of webhooks, on loopback.
type subscriber struct {
	name    string
	types   string // What it subscribes to.
	answers int    // The status code.
	secret  string
	address string
	webhook *standardwebhooks.Webhook
	arrived func(id uuid.UUID, at time.Time) // Told of each event's first arrival; may be nil.

	mu       sync.Mutex
	server   *http.Server // Nil while it is down.
	backAt   time.Time    // While it is down.
	received map[uuid.UUID]int
	forged   int // Requests whose signature is not valid.
}

// startSubscriber has a subscriber listen on a free port.
func startSubscriber(ctx context.Context, name, types string, answers int) (*subscriber, error) {
	s := &subscriber{name: name, types: types, answers: answers, received: make(map[uuid.UUID]int)}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	s.secret = "whsec_" + base64.StdEncoding.EncodeToString(key)
	var err error
	if s.webhook, err = standardwebhooks.NewWebhook(s.secret); err != nil {
		return nil, fmt.Errorf("start subscriber %s: %w", name, err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start subscriber %s: %w", name, err)
	}
	s.address = listener.Addr().String()
	s.serve(listener)
	return s, nil
}

func (s *subscriber) url() string { return "http://" + s.address + "/" + s.name }

// up listens again, on the same port as before.
func (s *subscriber) up(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	s.serve(listener)
	return nil
}

func (s *subscriber) serve(listener net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
}

// down stops listening and breaks all connections.
func (s *subscriber) down(backAt time.Time) {
	s.mu.Lock()
	server := s.server
	s.server, s.backAt = nil, backAt
	s.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
}

// breakDown has the subscriber be down as o says, and up again in the end, until ctx is done.
func (s *subscriber) breakDown(ctx context.Context, o outage) {
	for ctx.Err() == nil {
		s.down(time.Now().Add(o.length))
		sleep(ctx, o.length)
		for s.up(context.WithoutCancel(ctx)) != nil { // somebody else may have the port for a moment
			if sleep(context.WithoutCancel(ctx), 50*time.Millisecond); ctx.Err() != nil {
				return
			}
		}
		if o.every == 0 {
			return
		}
		sleep(ctx, o.every-o.length)
	}
}

// outage says when a subscriber is down.
type outage struct {
	length time.Duration
	every  time.Duration // From the beginning of one to that of the next; 0: there is only one.
}

// state says in a few words how the subscriber behaves now.
func (s *subscriber) state() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return fmt.Sprintf("answers %d", s.answers)
	}
	if left := time.Until(s.backAt).Round(time.Second); left > 0 {
		return fmt.Sprintf("down, back in %d s", int(left.Seconds()))
	}
	return "down"
}

func (s *subscriber) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server == nil
}

// ServeHTTP takes a delivery.
func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	const enough = 1 << 20
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, enough))
	if err != nil {
		http.Error(w, "cannot read the body", http.StatusBadRequest)
		return
	}
	id, err := uuid.Parse(r.Header.Get("webhook-id"))
	if err = errors.Join(err, s.webhook.Verify(body, r.Header)); err != nil {
		s.mu.Lock()
		s.forged++
		s.mu.Unlock()
		http.Error(w, "not signed by whom it should be", http.StatusForbidden)
		return
	}
	s.mu.Lock()
	s.received[id]++
	first := s.received[id] == 1
	s.mu.Unlock()
	if first && s.arrived != nil {
		s.arrived(id, now)
	}
	w.WriteHeader(s.answers)
}

// journal returns how often each event came, and how many requests were not signed as they should be.
func (s *subscriber) journal() (received map[uuid.UUID]int, forged int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.received), s.forged
}

func (s *subscriber) close() { s.down(time.Time{}) }

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
