package receiver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Script plays a server on one connection. The connection is closed when it returns, and when the test ends.
type Script func(c net.Conn)

// Scripted is a TCP server on loopback that plays a script on each connection it accepts.
type Scripted struct {
	listener net.Listener
	stopped  chan struct{}
	playing  sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	accepted int
}

// Play starts a server that plays script, until the test ends.
func Play(t testing.TB, script Script) *Scripted {
	t.Helper()
	return play(t, "127.0.0.1:0", script)
}

// PlayTLS does the same behind a TLS handshake.
func PlayTLS(t testing.TB, config *tls.Config, script Script) *Scripted {
	t.Helper()
	return Play(t, func(c net.Conn) {
		server := tls.Server(c, config)
		if server.HandshakeContext(context.Background()) == nil {
			script(server)
		}
	})
}

// PlayOn does the same on an address of its own, such as [::1]:0.
func PlayOn(t testing.TB, address string, script Script) *Scripted {
	t.Helper()
	return play(t, address, script)
}

func play(t testing.TB, address string, script Script) *Scripted {
	t.Helper()
	listener, err := listen(address)
	if err != nil {
		t.Fatalf("receiver: %v", err)
	}
	s := &Scripted{listener: listener, conns: make(map[net.Conn]bool), stopped: make(chan struct{})}
	go s.accept(script)
	t.Cleanup(s.Stop)
	return s
}

// Address is the host and port.
func (s *Scripted) Address() string { return s.listener.Addr().String() }

// URL is where to deliver to in plain HTTP.
func (s *Scripted) URL() string { return "http://" + s.Address() + "/hook" }

// Accepted is the number of connections so far.
func (s *Scripted) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Stop cuts all connections and waits until the scripts have ended. It may be called more than once.
func (s *Scripted) Stop() {
	_ = s.listener.Close()
	<-s.stopped
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.playing.Wait()
}

func (s *Scripted) accept(script Script) {
	defer close(s.stopped)
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.accepted++
		s.conns[c] = true
		s.mu.Unlock()
		s.playing.Go(func() {
			script(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// Answer reads one request and then writes text, as it is.
func Answer(text string) Script {
	return func(c net.Conn) {
		if ReadRequest(c) == nil {
			_, _ = c.Write([]byte(text))
			waitForEnd(c)
		}
	}
}

// Silence accepts and does nothing.
func Silence(c net.Conn) { waitForEnd(c) }

// Close reads one request and closes the connection.
func Close(c net.Conn) { _ = ReadRequest(c) }

// Reset reads one request, writes text, and resets the connection.
func Reset(text string) Script {
	return func(c net.Conn) {
		if ReadRequest(c) != nil {
			return
		}
		_, _ = c.Write([]byte(text))
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
}

// Drip reads one request, writes head at once, and then drop again and again, each after the pause, until the other side
// has gone.
func Drip(head, drop string, pause time.Duration) Script {
	return func(c net.Conn) {
		if ReadRequest(c) != nil {
			return
		}
		_, err := c.Write([]byte(head))
		for again := []byte(drop); err == nil; _, err = c.Write(again) {
			time.Sleep(pause)
		}
	}
}

// ReadRequest reads a request with its body off the connection.
func ReadRequest(c net.Conn) error {
	request, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		if _, err := request.Body.Read(buffer); err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		}
	}
}

// waitForEnd reads until the other side closes, or the test ends.
func waitForEnd(c net.Conn) {
	buffer := make([]byte, 4096)
	for {
		if _, err := c.Read(buffer); err != nil {
			return
		}
	}
}

func listen(address string) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(context.Background(), "tcp", address)
}
