package model

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outboxrelay/relay/internal/receiver"
)

// mode is how a receiver behaves.
type mode int

const (
	answers200 mode = iota
	answers500
	down  // Refuses connections.
	hangs // Takes requests and does not answer.
)

func (m mode) String() string { return [...]string{"200", "500", "down", "hanging"}[m] }

// receivers is how many there are that change their ways; one more, the last, never does.
const receivers = 3

// arrival is a request as a receiver saw it.
type arrival struct {
	at       time.Time
	path     string
	id       string
	header   http.Header
	body     []byte
	answered int // 0: it got no answer.
}

// stage is the receivers of one worker, used by one sequence after the other.
type stage struct {
	all  []*receiver.Receiver
	mu   sync.Mutex
	mode []mode
	hang []chan struct{} // Closed to let the hanging requests of a receiver go.

	journal []*arrival
}

func newStage(t *testing.T) *stage {
	s := &stage{mode: make([]mode, receivers+1), hang: make([]chan struct{}, receivers+1)}
	for i := range receivers + 1 {
		s.hang[i] = make(chan struct{})
		r := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(i, w, r) }))
		r.SkipBodies()
		s.all = append(s.all, r)
	}
	return s
}

func (s *stage) url(i, sequence int, subscription string, number int) string {
	return fmt.Sprintf("http://%s/%d/%s/%d", s.all[i].Address(), sequence, subscription, number)
}

func (s *stage) serve(i int, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	a := &arrival{at: time.Now(), path: r.URL.Path, id: r.Header.Get("webhook-id"), header: r.Header, body: body}
	s.mu.Lock()
	s.journal = append(s.journal, a)
	how, hang := s.mode[i], s.hang[i]
	s.mu.Unlock()
	if how == hangs {
		select {
		case <-hang:
			how = answers200
		case <-r.Context().Done():
			return
		}
	}
	code := http.StatusOK
	if how == answers500 {
		code = http.StatusInternalServerError
	}
	s.mu.Lock()
	a.answered = code
	s.mu.Unlock()
	w.WriteHeader(code)
}

// set changes how a receiver behaves.
func (s *stage) set(i int, m mode) {
	if m == down {
		s.all[i].Down() // First: what hangs is cut, not answered.
	}
	s.mu.Lock()
	was := s.mode[i]
	s.mode[i] = m
	if m == answers200 || m == answers500 {
		close(s.hang[i])
		s.hang[i] = make(chan struct{})
	}
	s.mu.Unlock()
	if was == down && m != down {
		s.all[i].Up()
	}
}

func (s *stage) is(i int, m mode) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mode[i] == m
}

// clear makes all well again and empties the journal.
func (s *stage) clear() {
	for i := range s.all {
		s.set(i, answers200)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = nil
}

// arrivals returns a copy of the journal.
func (s *stage) arrivals() []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []arrival
	for _, a := range s.journal {
		all = append(all, *a)
	}
	return slices.Clip(all)
}
