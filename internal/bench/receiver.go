package main

import (
	"io"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
)

// receiverCommand is the hidden argument that makes this program the receiver.
const receiverCommand = "receiver"

// slowAnswer is how long the slow path takes to answer.
const slowAnswer = 50 * time.Millisecond

// Arrival is one request that came in.
type Arrival struct {
	ID uuid.UUID // Its webhook-id.
	At int64     // When its handler began, in Unix nanoseconds.
}

// Receiver answers POSTs and is asked about them over its standard input and output (net/rpc). It ends with the process
// that started it, since its standard input does.
//
// Paths: /ok answers 200 at once, /slow after slowAnswer, /hang not before Release. The first two are recorded.
type Receiver struct {
	address string

	mu       sync.Mutex
	arrivals []Arrival
	reached  *sync.Cond // of mu; told once waitFor arrivals are there
	waitFor  int
	release  chan struct{} // closed by Release, then made anew
}

func serveReceiver() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r := &Receiver{address: listener.Addr().String(), release: make(chan struct{})}
	r.reached = sync.NewCond(&r.mu)

	commands := rpc.NewServer()
	if err := commands.Register(r); err != nil {
		return err
	}
	server := &http.Server{Handler: r.handler()}
	go func() { _ = server.Serve(listener) }()

	commands.ServeConn(stdio{os.Stdin, os.Stdout})
	return server.Close()
}

func (r *Receiver) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(_ http.ResponseWriter, req *http.Request) { r.record(req) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, req *http.Request) {
		r.record(req)
		time.Sleep(slowAnswer)
	})
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-r.released():
		case <-req.Context().Done():
		}
	})
	return mux
}

func (r *Receiver) record(req *http.Request) {
	now := time.Now().UnixNano()
	id, _ := uuid.Parse(req.Header.Get("webhook-id")) // the zero UUID is found out when arrivals are matched
	r.mu.Lock()
	r.arrivals = append(r.arrivals, Arrival{ID: id, At: now})
	if len(r.arrivals) >= r.waitFor {
		r.reached.Broadcast()
	}
	r.mu.Unlock()
}

// Address is where the receiver listens, host:port.
func (r *Receiver) Address(_ struct{}, reply *string) error {
	*reply = r.address
	return nil
}

// Reset forgets all arrivals and makes room for so many.
func (r *Receiver) Reset(room int, _ *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals = make([]Arrival, 0, room)
	return nil
}

// Wait waits until count requests have come in since Reset.
func (r *Receiver) Wait(count int, _ *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.waitFor = count; len(r.arrivals) < count; {
		r.reached.Wait()
	}
	return nil
}

// Arrivals is what came in since Reset, in order.
func (r *Receiver) Arrivals(_ struct{}, reply *[]Arrival) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	*reply = append([]Arrival(nil), r.arrivals...)
	return nil
}

// Release answers whatever hangs.
func (r *Receiver) Release(_ struct{}, _ *struct{}) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.release)
	r.release = make(chan struct{})
	return nil
}

func (r *Receiver) released() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.release
}

// stdio is standard input and output as one connection.
type stdio struct {
	io.ReadCloser
	io.WriteCloser
}

func (s stdio) Close() error {
	_ = s.WriteCloser.Close()
	return s.ReadCloser.Close()
}
