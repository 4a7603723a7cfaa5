package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// proxy stands between the relay and Postgres, or a receiver, and breaks connections as networks do. Toxiproxy does as much,
// but brings an HTTP server, metrics and a dozen modules along, and has no half-open connection: here that is two hundred
// lines.
type proxy struct {
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

func newProxy(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &proxy{listener: listener, target: target, pairs: make(map[*pair]struct{})}
	p.moving = sync.NewCond(&p.mu)
	p.done.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// cut resets all connections and each new one, until heal.
func (p *proxy) cut() {
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

// stall lets nothing through and closes nothing, until heal: what was sent meanwhile then goes on.
func (p *proxy) stall() { p.set(func() { p.stalled = true }) }

// loseAll makes all connections half open, for ever: nobody hears anything on them, nor that the other side is gone. New
// ones are as they should be.
func (p *proxy) loseAll() {
	p.set(func() {
		for c := range p.pairs {
			c.lost = true
		}
	})
}

// heal ends cut and stall.
func (p *proxy) heal() { p.set(func() { p.refusing, p.stalled = false, false }) }

func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.moving.Broadcast()
}

func (p *proxy) close() error {
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

func (p *proxy) accept() {
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
func (p *proxy) serve(client net.Conn) {
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
func (p *proxy) copy(c *pair, to, from net.Conn) {
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
func (p *proxy) mayPass(c *pair) bool {
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
