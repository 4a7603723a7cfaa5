// Package proxy breaks TCP connections as networks do: it cuts them, stalls them, and leaves them half open.
package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Proxy stands between two programs, such as the relay and Postgres, or a receiver. Its methods may be called by several goroutines
// at once. Toxiproxy does as much,
// but brings an HTTP server, metrics and a dozen modules along, and has no half-open connection: here that is two hundred
// lines.
type Proxy struct {
	listener net.Listener
	target   string

	mu       sync.Mutex
	moving   *sync.Cond // The state changed.
	refusing bool
	stalled  bool
	pairs    map[*pair]struct{}
	closed   bool
	done     sync.WaitGroup
}

// pair is one connection through the proxy.
type pair struct {
	client, server net.Conn
	lost           bool // Half open: nothing goes through any more, not even its end.
}

// New starts a proxy before a target, host:port, on a free port of this machine.
func New(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{listener: listener, target: target, pairs: make(map[*pair]struct{})}
	p.moving = sync.NewCond(&p.mu)
	p.done.Go(p.accept)
	return p, nil
}

// Address is where to connect to instead of the target.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut resets all connections and each new one, until Heal.
func (p *Proxy) Cut() {
	p.set(func() {
		p.refusing = true
		for c := range p.pairs {
			if !c.lost {
				reset(c.client)
				reset(c.server)
			}
		}
	})
}

// Stall lets nothing through and closes nothing, until Heal: what was sent meanwhile then goes on.
func (p *Proxy) Stall() { p.set(func() { p.stalled = true }) }

// LoseAll makes all connections half open, for ever: nobody hears anything on them, nor that the other side is gone. New
// ones are as they should be.
func (p *Proxy) LoseAll() {
	p.set(func() {
		for c := range p.pairs {
			c.lost = true
		}
	})
}

// Heal ends Cut and Stall.
func (p *Proxy) Heal() { p.set(func() { p.refusing, p.stalled = false, false }) }

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.moving.Broadcast()
}

// Close resets all connections and takes no more.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.set(func() {
		p.closed = true
		for c := range p.pairs {
			reset(c.client)
			reset(c.server)
		}
	})
	p.done.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refusing := p.refusing || p.closed
		p.mu.Unlock()
		if refusing {
			reset(client)
			continue
		}
		p.done.Go(func() { p.serve(client) })
	}
}

// serve connects and copies both ways.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	c := &pair{client: client, server: server}
	p.set(func() { p.pairs[c] = struct{}{} })
	var both sync.WaitGroup
	both.Go(func() { p.copy(c, server, client) })
	both.Go(func() { p.copy(c, client, server) })
	both.Wait()
	p.set(func() { delete(p.pairs, c) })
	_ = client.Close()
	_ = server.Close()
}

// copy carries bytes one way until one side ends, and then ends the other.
func (p *Proxy) copy(c *pair, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !p.mayPass(c) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			if tcp, ok := to.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	reset(to)
	reset(from)
}

// mayPass waits while the proxy is stalled or the connection is lost, and says whether bytes still go through.
func (p *Proxy) mayPass(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for (p.stalled || c.lost) && !p.closed {
		p.moving.Wait()
	}
	return !p.closed
}

// reset closes a connection so that the other side gets an error, not an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
