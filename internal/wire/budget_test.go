package wire

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

// census dials, and counts the connections that are open.
type census struct {
	open, most atomic.Int64
}

func (c *census) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	now := c.open.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	return &counted{TCPConn: nc.(*net.TCPConn), close: sync.OnceFunc(func() { c.open.Add(-1) })}, nil
}

type counted struct {
	*net.TCPConn
	close func()
}

func (c *counted) Close() error {
	defer c.close()
	return c.TCPConn.Close()
}

// sharing makes transports that share a budget.
func (c *census) sharing(t *testing.T, n int, budget *Budget) (all []*Transport) {
	for range n {
		all = append(all, newTransport(t, func(tr *Transport) { tr.Dial, tr.Budget = c.dial, budget }))
	}
	return all
}

// always accepts.
func always() receiver.Script { return eachRequest(func(int) (string, bool) { return accepted, true }) }

func TestBudgetClosesWhatIsIdleElsewhere(t *testing.T) {
	s := receiver.Play(t, always())
	var c census
	all := c.sharing(t, 10, NewBudget(4))
	for _, tr := range all {
		requirePost(t, tr, s.URL(), nil)
	}
	require.Equal(t, 10, s.Accepted())
	require.EqualValues(t, 4, c.open.Load())
	require.EqualValues(t, 4, c.most.Load(), "one is closed before another is made")

	kept := 0
	for _, tr := range all {
		if n := tr.idle(); n > 0 {
			kept += n
			requirePost(t, tr, s.URL(), nil)
		}
	}
	require.Equal(t, 4, kept)
	require.Equal(t, 10, s.Accepted(), "those that are left are used again")
}

// Where all connections are in use, the bound gives way: an exchange never waits for another.
func TestBudgetGivesWay(t *testing.T) {
	const inFlight = 6
	s := receiver.Play(t, meeting(inFlight))
	var c census
	tr := c.sharing(t, 1, NewBudget(2))[0]
	var group sync.WaitGroup
	for range inFlight {
		group.Go(func() {
			_, _, err := post(t.Context(), tr, s.URL(), nil)
			assert.NoError(t, err)
		})
	}
	group.Wait()
	require.EqualValues(t, inFlight, c.most.Load())
	require.EqualValues(t, inFlight, c.open.Load())

	quick := receiver.Play(t, always())
	requirePost(t, tr, quick.URL(), nil)
	require.EqualValues(t, 2, c.open.Load(), "what was too many is closed with the next")
}

// However a connection ends, it is counted once.
func TestBudgetCountsEveryEnd(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for name, one := range map[string]struct {
		ctx    context.Context
		script receiver.Script
		change func(*Transport)
	}{
		"closed by the server": {script: eachRequest(func(int) (string, bool) { return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false })},
		"no answer":            {script: eachRequest(func(int) (string, bool) { return "", false })},
		"not HTTP":             {script: eachRequest(func(int) (string, bool) { return "SSH-2.0-OpenSSH_9.2\r\n", false })},
		"too late":             {script: receiver.Silence, change: func(tr *Transport) { tr.Timeout = 50 * time.Millisecond }},
		"given up":             {ctx: ended, script: receiver.Silence},
		"not reached": {script: receiver.Silence, change: func(tr *Transport) {
			tr.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
		}},
		"none kept": {script: always(), change: func(tr *Transport) { tr.MaxIdlePerHost = 0 }},
		"idle":      {script: always()},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiver.Play(t, one.script)
			budget := NewBudget(8)
			tr := newTransport(t, func(tr *Transport) {
				tr.Budget = budget
				if one.change != nil {
					one.change(tr)
				}
			})
			ctx := one.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			for range 3 {
				_, _, _ = post(ctx, tr, s.URL(), nil)
			}
			if name == "idle" {
				require.EqualValues(t, 1, budget.open.Load())
				require.Len(t, budget.pools, 1)
			}
			tr.CloseIdleConnections()
			require.Zero(t, budget.open.Load())
			require.Empty(t, budget.pools)
		})
	}
}

func TestBudgetUnderLoad(t *testing.T) {
	const limit, workers, rounds = 4, 4, 200
	s := receiver.Play(t, always())
	var c census
	budget := NewBudget(limit)
	all := c.sharing(t, 12, budget)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for n := range rounds {
				_, _, err := post(t.Context(), all[(n*7+w*5)%len(all)], s.URL(), nil)
				assert.NoError(t, err)
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, c.most.Load(), int64(limit+workers), "a pool that is busy is passed over, but not for long")
	requirePost(t, all[0], s.URL(), nil)
	require.LessOrEqual(t, c.open.Load(), int64(limit))
	for _, tr := range all {
		tr.CloseIdleConnections()
	}
	require.Zero(t, c.open.Load())
	require.Zero(t, budget.open.Load())
}
