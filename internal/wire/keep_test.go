package wire

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

func TestKeepsConnections(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		s, url := play(eachRequest(func(n int) (string, bool) { return numbered(n), true }))
		tr := withTLS(t, nil)
		for n := 1; n <= 5; n++ {
			_, text := requirePost(t, tr, url, bytes.Repeat([]byte("x"), n*n*1000)) // from one write to several
			require.Equal(t, fmt.Sprint(n), text)
		}
		require.Equal(t, 1, s.Accepted())
		tr.CloseIdleConnections()
		_, text := requirePost(t, tr, url, nil)
		require.Equal(t, "6", text)
		require.Equal(t, 2, s.Accepted())
	})
}

// A server may close a kept connection at any time without saying so. Where it has, another is made.
func TestClosedWhileIdle(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		s, url := play(eachRequest(func(n int) (string, bool) { return numbered(n), false }))
		tr := withTLS(t, nil)
		for n := 1; n <= 5; n++ {
			code, text := requirePost(t, tr, url, []byte("x"))
			require.Equal(t, 200, code)
			require.Equal(t, fmt.Sprint(n), text)
			requireNoticed(t, tr)
		}
		require.Equal(t, 5, s.Accepted())
	})
}

// requireNoticed waits until something is to be read on every idle connection, were it the end.
func requireNoticed(t *testing.T, tr *Transport) {
	t.Helper()
	var idle []*conn
	for _, conns := range tr.pool.idle {
		idle = append(idle, conns...)
	}
	require.NotEmpty(t, idle)
	for _, c := range idle {
		require.Eventually(t, func() bool { return !c.isQuiet() }, 10*time.Second, time.Millisecond)
	}
}

// What comes while nobody asks is no answer to the next request.
func TestUnsolicitedAnswer(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		gate := make(chan struct{}, 8)
		s, url := play(func(c net.Conn) {
			for receiver.ReadRequest(c) == nil {
				_, _ = io.WriteString(c, numbered(1))
				<-gate
				_, _ = io.WriteString(c, "HTTP/1.1 500 Stale\r\nContent-Length: 0\r\n\r\n")
			}
		})
		tr := withTLS(t, nil)
		for range 3 {
			code, text := requirePost(t, tr, url, []byte("x"))
			require.Equal(t, 200, code)
			require.Equal(t, "1", text)
			gate <- struct{}{}
			requireNoticed(t, tr)
		}
		require.Equal(t, 3, s.Accepted())
	})
}

// Once written, a request is not repeated.
func TestClosedUnderTheRequest(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		var requests atomic.Int32
		s, url := play(eachRequest(func(n int) (string, bool) {
			requests.Store(int32(n))
			if n == 1 {
				return numbered(n), true
			}
			return "", false
		}))
		tr := withTLS(t, nil)
		requirePost(t, tr, url, []byte("x"))
		_, _, err := post(t.Context(), tr, url, []byte("x"))
		require.ErrorIs(t, err, ErrKeptClosed)
		require.EqualValues(t, 2, requests.Load())
		require.Equal(t, 1, s.Accepted())
	})
}

func TestKeepsSomeAndForAWhile(t *testing.T) {
	const inFlight, kept = 6, 3
	s := receiver.Play(t, meeting(inFlight))
	tr := newTransport(t, func(tr *Transport) { tr.MaxIdlePerHost, tr.IdleTimeout = kept, 200*time.Millisecond })
	started := time.Now()
	var group sync.WaitGroup
	for range inFlight {
		group.Go(func() {
			code, _, err := post(t.Context(), tr, s.URL(), nil)
			if err != nil || code != 200 {
				t.Errorf("answered %d, %v", code, err)
			}
		})
	}
	group.Wait()
	require.Equal(t, inFlight, s.Accepted())
	if n := tr.idle(); time.Since(started) < 200*time.Millisecond {
		require.Equal(t, kept, n)
	}
	require.Eventually(t, func() bool { return tr.idle() == 0 }, 10*time.Second, time.Millisecond)
	require.GreaterOrEqual(t, time.Since(started), 200*time.Millisecond)
	tr.pool.mu.Lock()
	defer tr.pool.mu.Unlock()
	require.Nil(t, tr.pool.sweep, "nothing left to do")
}

// A connection in constant use is kept until it is too old, so that a name is looked up anew from time to time.
func TestKeepsNoOldConnection(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		s, url := play(eachRequest(func(n int) (string, bool) { return numbered(n), true }))
		aged := func(most time.Duration) *Transport { return withTLS(t, func(tr *Transport) { tr.MaxAge = most }) }
		const age = 100 * time.Millisecond
		tr, started := aged(age), time.Now()
		for s.Accepted() < 2 {
			require.Less(t, time.Since(started), 10*time.Second, "never made anew")
			requirePost(t, tr, url, []byte("x"))
		}
		require.Greater(t, time.Since(started), age, "kept until then")

		accepted := s.Accepted()
		tr = aged(time.Hour)
		for range 3 {
			requirePost(t, tr, url, []byte("x"))
		}
		require.Equal(t, accepted+1, s.Accepted(), "not yet old")

		tr = aged(time.Nanosecond)
		for n := range 3 {
			requirePost(t, tr, url, []byte("x"))
			require.Zero(t, tr.idle(), "closed once its exchange is done")
			require.Equal(t, accepted+1+n+1, s.Accepted())
		}
	})
}

// idle returns how many connections are not in use.
func (t *Transport) idle() (n int) {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	for _, conns := range t.pool.idle {
		n += len(conns)
	}
	return n
}

// meeting answers no request before as many are there at once.
func meeting(size int) receiver.Script {
	var together sync.WaitGroup
	together.Add(size)
	return func(c net.Conn) {
		if receiver.ReadRequest(c) == nil {
			together.Done()
			together.Wait()
			_, _ = io.WriteString(c, accepted)
			receiver.Silence(c)
		}
	}
}
