package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

// overBoth runs a test in plain HTTP and over TLS.
func overBoth(t *testing.T, run func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string))) {
	t.Helper()
	t.Run("http", func(t *testing.T) {
		run(t, func(script receiver.Script) (*receiver.Scripted, string) {
			s := receiver.Play(t, script)
			return s, s.URL()
		})
	})
	t.Run("https", func(t *testing.T) {
		config := receiver.NewAuthority(t).Config("127.0.0.1", nil)
		run(t, func(script receiver.Script) (*receiver.Scripted, string) {
			s := receiver.PlayTLS(t, config, script)
			return s, "https://" + s.Address() + "/hook"
		})
	})
}

// withTLS is newTransport that also dials TLS.
func withTLS(t *testing.T, change func(*Transport)) *Transport {
	t.Helper()
	return newTransport(t, func(tr *Transport) {
		tr.DialTLS = trustingTLS
		if change != nil {
			change(tr)
		}
	})
}

// eachRequest answers every request on a connection with what answer says; ok false ends the connection.
func eachRequest(answer func(n int) (text string, ok bool)) receiver.Script {
	var n atomic.Int32
	return func(c net.Conn) {
		for receiver.ReadRequest(c) == nil {
			text, ok := answer(int(n.Add(1)))
			if _, err := io.WriteString(c, text); err != nil || !ok {
				return
			}
		}
	}
}

// firstOnly answers the first request, and no other.
func firstOnly() receiver.Script {
	return eachRequest(func(n int) (string, bool) {
		if n == 1 {
			return numbered(n), true
		}
		return "", true
	})
}

func numbered(n int) string {
	text := fmt.Sprint(n)
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// An answer counts even where the server does not want the rest of the request, and never reads it.
func TestEarlyAnswer(t *testing.T) {
	const tooLarge = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"
	large := bytes.Repeat([]byte("x"), 32<<20)
	readsAll := map[string]bool{"and reads on": true, "and ends its half": true}
	for name, script := range map[string]receiver.Script{
		"and reads on": func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 50))
			_, _ = io.WriteString(c, tooLarge)
			receiver.Silence(c)
		},
		"and reads no more": func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 50))
			_, _ = io.WriteString(c, tooLarge)
			waitClosed(c)
		},
		"without reading": func(c net.Conn) {
			_, _ = io.WriteString(c, tooLarge)
			waitClosed(c)
		},
		"and says close": func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 50))
			_, _ = io.WriteString(c, strings.Replace(tooLarge, "\r\n", "\r\nConnection: close\r\n", 1))
			waitClosed(c)
		},
		"until the end": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\n\r\nbig")
			closeWrite(c)
			waitClosed(c)
		},
		"and ends its half": func(c net.Conn) {
			_, _ = io.ReadFull(c, make([]byte, 50))
			_, _ = io.WriteString(c, tooLarge)
			closeWrite(c)
			receiver.Silence(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := receiver.Play(t, script)
			tr := newTransport(t, nil)
			for i, body := range [][]byte{large, []byte("small"), large} {
				code, text := requirePost(t, tr, s.URL(), body)
				require.Equal(t, 413, code)
				require.Equal(t, "big", text)
				if i == 0 && !readsAll[name] {
					require.Empty(t, tr.pool.idle[origin{address: s.Address()}], "half a request is left on it")
				}
				tr.CloseIdleConnections()
			}
		})
	}
}

// waitClosed waits for the other side to close, reading nothing.
func waitClosed(c net.Conn) {
	for {
		if _, err := c.Write(nil); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
		var one [1]byte
		_ = c.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := c.Read(one[:]); errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

func closeWrite(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }

// A large body arrives whole, and its connection is kept.
func TestLargeBody(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		s, url := play(func(c net.Conn) {
			for {
				req, err := http.ReadRequest(newReader(c))
				if err != nil {
					return
				}
				got, _ := io.ReadAll(req.Body)
				_, _ = io.WriteString(c, numbered(len(got)))
				assert.True(t, bytes.Equal(body[:len(got)], got))
			}
		})
		tr := withTLS(t, nil)
		for _, n := range []int{len(body), wholeMaxBytes, wholeMaxBytes - 1000, 1 << 20, 0, 1} {
			_, text := requirePost(t, tr, url, body[:n])
			require.Equal(t, fmt.Sprint(n), text)
		}
		require.Equal(t, 1, s.Accepted())
	})
}

// A request that a kept connection takes only bit by bit arrives whole too.
func TestSlowKeptConnection(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 900)
	slow := make(chan struct{}, 1)
	s := receiver.Play(t, func(c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(1)
		for n := 0; ; n++ {
			if n > 0 {
				<-slow
			}
			req, err := http.ReadRequest(newReader(c))
			if err != nil {
				return
			}
			got, _ := io.ReadAll(req.Body)
			assert.True(t, bytes.Equal(body, got))
			_, _ = io.WriteString(c, accepted)
		}
	})
	t.Cleanup(func() { close(slow) })
	tr := newTransport(t, func(tr *Transport) {
		tr.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err == nil {
				err = c.(*net.TCPConn).SetWriteBuffer(1)
			}
			return c, err
		}
	})
	requirePost(t, tr, s.URL(), body)
	for range 3 {
		time.AfterFunc(20*time.Millisecond, func() { slow <- struct{}{} })
		code, _ := requirePost(t, tr, s.URL(), body)
		require.Equal(t, 200, code)
	}
	require.Equal(t, 1, s.Accepted())
}

func TestTimeout(t *testing.T) {
	small := func(tr *Transport) { tr.Timeout = 100 * time.Millisecond }
	for name, script := range map[string]receiver.Script{
		"silent":           receiver.Silence,
		"reads nothing":    waitClosed,
		"stops in a line":  receiver.Answer("HTTP/1.1 200 OK\r\nConte"),
		"drips":            receiver.Drip("HTTP/1.1 200 OK\r\n", "X-A: b\r\n", 5*time.Millisecond),
		"silent from then": firstOnly(),
	} {
		t.Run(name, func(t *testing.T) {
			s := receiver.Play(t, script)
			tr := newTransport(t, small)
			if name == "silent from then" {
				requirePost(t, tr, s.URL(), nil)
			}
			for _, size := range []int{10, 10, 32 << 20} {
				started := time.Now()
				_, _, err := post(t.Context(), tr, s.URL(), make([]byte, size))
				require.ErrorIs(t, err, ErrTimeout)
				require.GreaterOrEqual(t, time.Since(started), 100*time.Millisecond)
				require.Less(t, time.Since(started), 10*time.Second)
			}
		})
	}
	t.Run("of the request's own", func(t *testing.T) {
		s := receiver.Play(t, receiver.Silence)
		ctx := context.WithValue(t.Context(), TimeoutKey{}, 100*time.Millisecond)
		started := time.Now()
		_, _, err := post(ctx, newTransport(t, nil), s.URL(), nil)
		require.ErrorIs(t, err, ErrTimeout)
		require.Less(t, time.Since(started), 10*time.Second)
	})
	t.Run("no connection", func(t *testing.T) {
		tr := newTransport(t, small)
		tr.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		_, _, err := post(t.Context(), tr, "http://a/", nil)
		require.ErrorIs(t, err, ErrTimeout)
	})
	t.Run("a timeout of another's before that", func(t *testing.T) {
		tr := newTransport(t, nil)
		late := &net.DNSError{Err: "i/o timeout", IsTimeout: true}
		tr.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, late }
		_, _, err := post(t.Context(), tr, "http://a/", nil)
		require.ErrorIs(t, err, late)
		require.NotErrorIs(t, err, ErrTimeout)
	})
}

func TestBodyTimeout(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		for _, head := range []string{"Content-Length: 99\r\n", "Transfer-Encoding: chunked\r\n", ""} {
			_, url := play(receiver.Answer("HTTP/1.1 200 OK\r\n" + head + "\r\n2\r\nok"))
			tr := withTLS(t, func(tr *Transport) { tr.BodyTimeout = 50 * time.Millisecond })
			started := time.Now()
			code, text, err := post(t.Context(), tr, url, nil)
			require.Equal(t, 200, code)
			require.Contains(t, text, "ok")
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout())
			require.GreaterOrEqual(t, time.Since(started), 50*time.Millisecond)
			require.Less(t, time.Since(started), 10*time.Second)
		}
	})
}

func TestAbort(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		for name, script := range map[string]receiver.Script{
			"waiting for the answer": receiver.Silence, "writing": waitClosedTLS,
			"on a kept connection": firstOnly(),
		} {
			_, url := play(script)
			tr := withTLS(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			size := 10
			switch name {
			case "writing":
				size = 32 << 20
			case "on a kept connection":
				requirePost(t, tr, url, nil)
			}
			time.AfterFunc(50*time.Millisecond, cancel)
			started := time.Now()
			_, _, err := post(ctx, tr, url, make([]byte, size))
			require.ErrorIs(t, err, context.Canceled, name)
			require.Less(t, time.Since(started), 10*time.Second)
			require.Empty(t, tr.pool.idle[origin{address: url}])

			_, _, err = post(ctx, tr, url, nil)
			require.ErrorIs(t, err, context.Canceled, "before it began")
		}
	})
}

func waitClosedTLS(c net.Conn) {
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	waitClosed(c)
}

// A context that ends after its exchange leaves the kept connection alone.
func TestContextsEndAfterwards(t *testing.T) {
	s := receiver.Play(t, eachRequest(func(n int) (string, bool) { return numbered(n), true }))
	tr := newTransport(t, nil)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		_, _, err := post(ctx, tr, s.URL(), nil)
		require.NoError(t, err)
		cancel()
	}
	require.Equal(t, 1, s.Accepted())
}

// A body that ends before its length is up ends the exchange, which the server would wait for.
func TestLargeBodyTooShort(t *testing.T) {
	s := receiver.Play(t, receiver.Silence)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL(), io.NopCloser(bytes.NewReader(make([]byte, 1<<20))))
	require.NoError(t, err)
	req.ContentLength = 2 << 20
	started := time.Now()
	_, err = newTransport(t, nil).RoundTrip(req)
	require.Error(t, err)
	require.Less(t, time.Since(started), 10*time.Second)
}

func TestConcurrently(t *testing.T) {
	overBoth(t, func(t *testing.T, play func(receiver.Script) (*receiver.Scripted, string)) {
		s, url := play(func(c net.Conn) {
			for n := 1; ; n++ {
				req, err := http.ReadRequest(newReader(c))
				if err != nil {
					return
				}
				got, _ := io.ReadAll(req.Body)
				_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(got), got)
				if n%7 == 0 { // Without a word.
					return
				}
			}
		})
		tr := withTLS(t, nil)
		var group sync.WaitGroup
		var done, lost atomic.Int32
		for worker := range 8 {
			group.Go(func() {
				for i := range 50 {
					body := strings.Repeat(fmt.Sprintf("%d-%d ", worker, i), 1+i*20)
					_, text, err := post(t.Context(), tr, url, []byte(body))
					if errors.Is(err, ErrKeptClosed) || err != nil && isEnd(err) {
						lost.Add(1)
						continue
					}
					if err != nil || text != body {
						t.Errorf("answered %q, %v", text, err)
					}
					done.Add(1)
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 400, done.Load()+lost.Load())
		require.Less(t, lost.Load(), int32(100))
		require.GreaterOrEqual(t, s.Accepted(), int(done.Load())/7)
	})
}
