package outbox_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

// tripConn counts how often a connection turns from reading to writing: each time is a round trip.
type tripConn struct {
	net.Conn
	trips *trips
}

type trips struct {
	mu      sync.Mutex
	n       int
	writing bool
}

func (c tripConn) Write(b []byte) (int, error) {
	c.trips.mu.Lock()
	if !c.trips.writing {
		c.trips.writing = true
		c.trips.n++
	}
	c.trips.mu.Unlock()
	return c.Conn.Write(b)
}

func (c tripConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.trips.mu.Lock()
		c.trips.writing = false
		c.trips.mu.Unlock()
	}
	return n, err
}

func (t *trips) take() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.n
	t.n = 0
	return n
}

func TestInsertIsOneRoundTrip(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	many := make([]outbox.Event, 1000)
	for i := range many {
		many[i] = outbox.Event{Type: "row.added", Payload: `"` + strings.Repeat("x", 1000) + `"`}
	}

	for _, mode := range execModes {
		t.Run(mode.String(), func(t *testing.T) {
			var trips trips
			config, err := pgxpool.ParseConfig(url)
			require.NoError(t, err)
			config.MaxConns = 1
			config.ConnConfig.DefaultQueryExecMode = mode
			dial := config.ConnConfig.DialFunc
			config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return tripConn{conn, &trips}, err
			}
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			defer pool.Close()

			insert := func(events ...outbox.Event) int {
				trips.take()
				_, err := outbox.Insert(t.Context(), pool, events...)
				require.NoError(t, err)
				return trips.take()
			}
			require.NoError(t, pool.Ping(t.Context()))
			first, second, third := insert(many[0]), insert(many[0]), insert(many...)

			want := 1
			if mode.String() == "describe exec" {
				want = 2 // asks for the statement's types each time
			}
			require.Equal(t, want, second)
			require.Equal(t, want, third, "however many events")
			require.LessOrEqual(t, first, 2, "the first on a connection may prepare the statement")
			require.Zero(t, insert(), "none for no events")
		})
	}
}
