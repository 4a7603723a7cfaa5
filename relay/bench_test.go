package relay

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

// BenchmarkSend is one delivery of a small event over kept connections, to a receiver that costs next to nothing, beside
// what net/http takes for a POST with neither signature nor guard nor deadline.
func BenchmarkSend(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 400)
	server := receiver.Play(b, leanServer)
	b.Run("relay", func(b *testing.B) {
		client := loopbackClient(b, SenderOptions{Timeout: time.Minute, UserAgent: "relay/bench"})
		target := loopbackTarget(b, server.URL())
		benchmarkPosts(b, func() int {
			return client.Send(b.Context(), target, senderEventID, body).Code
		})
	})
	b.Run("plain", func(b *testing.B) {
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
}

func benchmarkPosts(b *testing.B, post func() int) {
	require.Equal(b, http.StatusOK, post())
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if code := post(); code != http.StatusOK {
				b.Errorf("answered %d", code)
			}
		}
	})
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
