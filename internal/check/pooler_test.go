package check_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// known are the startup parameters that a pooler takes.
var known = []string{"user", "database", "application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings"}

// pooler is a stand-in for a connection pooler: it refuses startup parameters that it does not know, or passes them over,
// and gives out process ids of its own. It does not share connections.
type pooler struct {
	t        testing.TB
	server   string
	tolerant bool
	listener net.Listener
	done     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// startPooler starts one before a server and returns the address of the same database through it.
func startPooler(t *testing.T, server string, tolerant bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &pooler{t: t, server: server, tolerant: tolerant, listener: listener}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.done.Wait()
	})
	return at(t, server, func(u *url.URL) { u.Host = listener.Addr().String() })
}

func (p *pooler) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.keep(c)
		p.done.Go(func() {
			defer c.Close()
			p.serve(c)
		})
	}
}

func (p *pooler) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, c)
}

func (p *pooler) serve(c net.Conn) {
	client := pgproto3.NewBackend(c, c)
	message, err := client.ReceiveStartupMessage()
	startup, ok := message.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	for name := range maps.Keys(startup.Parameters) {
		if !slices.Contains(known, name) && !p.tolerant {
			client.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name})
			_ = client.Flush()
			return
		}
	}
	conn, err := pgconn.Connect(context.Background(), p.server)
	if err != nil {
		p.t.Error(err)
		return
	}
	server, err := conn.Hijack()
	if err != nil {
		p.t.Error(err)
		return
	}
	p.keep(server.Conn)
	defer server.Conn.Close()
	client.Send(&pgproto3.AuthenticationOk{})
	for name, value := range server.ParameterStatuses {
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if client.Flush() != nil {
		return
	}
	p.done.Go(func() {
		_, _ = io.Copy(c, server.Conn)
		_ = c.Close()
	})
	_, _ = io.Copy(server.Conn, c)
}
