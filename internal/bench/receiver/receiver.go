// Package receiver is what benchmarks deliver to: an HTTP server in a process of its own, so that its CPU time can be
// told from the relay's.
package receiver

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Command is the hidden argument that makes a program the receiver: its main calls Serve then.
const Command = "receiver"

// Arrival is one request that came in.
type Arrival struct {
	ID uuid.UUID // Its webhook-id.
	At int64     // When its handler began, in Unix nanoseconds.
}

// Receiver answers POSTs and is asked about them over its standard input and output (net/rpc). It ends with the process
// that started it, since its standard input does.
//
// Paths: /ok answers 200 at once, /after/N after N milliseconds, /hang not before Release. The first two are recorded.
type Receiver struct {
	where Addresses

	mu       sync.Mutex
	arrivals []Arrival
	reached  *sync.Cond // of mu; told once waitFor arrivals are there
	waitFor  int
	release  chan struct{} // closed by Release, then made anew
}

// Addresses is where a receiver listens, host:port, and whom to trust there.
type Addresses struct {
	HTTP, HTTPS string
	Authority   []byte // The certificate that HTTPS shows, in PEM.
}

// Serve is the receiver's program. It returns when its standard input ends.
func Serve() error {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	certificate, authority, err := newCertificate()
	if err != nil {
		return err
	}
	r := &Receiver{
		where:   Addresses{HTTP: plain.Addr().String(), HTTPS: secure.Addr().String(), Authority: authority},
		release: make(chan struct{}),
	}
	r.reached = sync.NewCond(&r.mu)

	commands := rpc.NewServer()
	if err := commands.Register(r); err != nil {
		return err
	}
	server := &http.Server{
		Handler:      r.handler(),
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{certificate}},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as the relay speaks it
	}
	go func() { _ = server.Serve(plain) }()
	go func() { _ = server.ServeTLS(secure, "", "") }()

	commands.ServeConn(stdio{os.Stdin, os.Stdout})
	return server.Close()
}

func (r *Receiver) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(_ http.ResponseWriter, req *http.Request) { r.record(req) })
	mux.HandleFunc("/after/{milliseconds}", func(w http.ResponseWriter, req *http.Request) {
		ms, err := strconv.Atoi(req.PathValue("milliseconds"))
		if err != nil {
			http.NotFound(w, req)
			return
		}
		r.record(req)
		time.Sleep(time.Duration(ms) * time.Millisecond)
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
	_, _ = io.Copy(io.Discard, req.Body) // a sender may write all of it before it reads the answer
}

// Addresses is where the receiver listens.
func (r *Receiver) Addresses(_ struct{}, reply *Addresses) error {
	*reply = r.where
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
