package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// subscriber is a small HTTP server that keeps the ids it got.
type subscriber struct {
	name    string
	code    int
	address string

	mu     sync.Mutex
	got    map[string]int
	server *http.Server // nil: down.
}

func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	s.got[r.Header.Get("webhook-id")]++
	s.mu.Unlock()
	w.WriteHeader(s.code)
}

// up listens, on the same port as before.
func (s *subscriber) up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return
	}
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return // Somebody has taken the port; it stays down.
	}
	s.address = l.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go func(server *http.Server) { _ = server.Serve(l) }(s.server) // Ends with Close.
}

func (s *subscriber) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		_ = s.server.Close()
		s.server = nil
	}
}

func (s *subscriber) isUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server != nil
}

// received returns how many different events came, and how many came more than once.
func (s *subscriber) received() (events, twice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.got {
		twice += n - 1
	}
	return len(s.got), twice
}

func (s *subscriber) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[id]
}

type subscribers struct {
	crm, broken, flaky *subscriber
}

func (s *subscribers) all() []*subscriber { return []*subscriber{s.crm, s.broken, s.flaky} }

// subscribeAll starts the subscribers and writes them into outbox.subscriptions.
func subscribeAll(ctx context.Context, db *pgxpool.Pool) (*subscribers, error) {
	s := &subscribers{
		crm:    &subscriber{name: "crm", code: http.StatusOK, got: make(map[string]int)},
		broken: &subscriber{name: "broken", code: http.StatusInternalServerError, got: make(map[string]int)},
		flaky:  &subscriber{name: "flaky", code: http.StatusOK, got: make(map[string]int)},
	}
	for _, one := range s.all() {
		one.up()
		_, err := db.Exec(ctx, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ($1, $2, '{user.*}')`,
			one.name, "http://"+one.address+"/hooks")
		if err != nil {
			return nil, fmt.Errorf("subscribe %s: %w", one.name, err)
		}
	}
	return s, nil
}

// The flaky subscriber's day: up, down, up again, and so on.
const (
	flakyUp   = 4 * time.Second
	flakyDown = 5 * time.Second
)

// flap takes the flaky subscriber down and up until ctx ends.
func (s *subscribers) flap(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, flakyUp)
		if ctx.Err() == nil {
			s.flaky.down()
		}
		pause(ctx, flakyDown)
		s.flaky.up()
	}
}

func (s *subscribers) close() {
	for _, one := range s.all() {
		one.down()
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
