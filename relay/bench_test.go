package relay

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

// BenchmarkSend is one delivery of a small event over kept connections, to a receiver that costs next to nothing. Beside
// it stands the same over net/http's transport, what net/http takes for a POST with neither signature nor guard nor
// deadline, and what can't be saved: a write and a read. The CPU time is that of both ends.
func BenchmarkSend(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 400)
	server := receiver.Play(b, leanServer)
	for _, tt := range []struct {
		name   string
		client func(s *Sender) *Client
	}{
		{"relay", (*Sender).NewClient},
		{"relay over net/http", netHTTPClient},
	} {
		b.Run(tt.name, func(b *testing.B) {
			client := tt.client(loopbackSender(b, SenderOptions{Timeout: time.Minute, UserAgent: "relay/bench"}))
			b.Cleanup(client.CloseIdle)
			target := loopbackTarget(b, server.URL())
			benchmarkPosts(b, func() int {
				return client.Send(b.Context(), target, senderEventID, body).Code
			})
		})
	}
	b.Run("plain net/http", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: defaultMaxIdlePerHost}}
		defer client.CloseIdleConnections()
		benchmarkPosts(b, func() int {
			resp, err := client.Post(server.URL(), "application/json", bytes.NewReader(body))
			if err != nil {
				return 0
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return resp.StatusCode
		})
	})
	b.Run("write and read", func(b *testing.B) {
		request := fmt.Appendf(nil, "POST / HTTP/1.1\r\nContent-Length: 400\r\n%s\r\n%s", strings.Repeat("X-Header: 0123456789\r\n", 14), body)
		conns := sync.Pool{New: func() any {
			c, _ := net.Dial("tcp", server.Address())
			return c
		}}
		benchmarkPosts(b, func() int {
			c := conns.Get().(net.Conn)
			defer conns.Put(c)
			var answer [256]byte
			_, _ = c.Write(request)
			_, _ = c.Read(answer[:])
			return http.StatusOK
		})
	})
}

// netHTTPClient is a client as NewClient makes it, with net/http's transport.
func netHTTPClient(s *Sender) *Client {
	return s.newClient(&http.Transport{
		DialContext:            s.dial,
		DialTLSContext:         s.dialTLS,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    s.maxIdlePerHost,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: responseHeaderMaxBytes,
	})
}

func benchmarkPosts(b *testing.B, post func() int) {
	require.Equal(b, http.StatusOK, post())
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	before := cpuTime()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if code := post(); code != http.StatusOK {
				b.Errorf("answered %d", code)
			}
		}
	})
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// leanServer answers 200 to every request on the connection, knowing no more of HTTP than it must.
func leanServer(c net.Conn) {
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: 2\r\n\r\nok")
	reader := bufio.NewReader(c)
	for {
		length := 0
		for {
			line, err := reader.ReadSlice('\n')
			if err != nil {
				return
			}
			if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := reader.Discard(length); err != nil {
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
