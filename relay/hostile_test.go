package relay

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/outbox"
)

const (
	// hostileTimeout is the deadline that hostile receivers are met with, hostileSlack what an attempt may take beyond it.
	hostileTimeout = 500 * time.Millisecond
	hostileSlack   = time.Second
	// hostileAllocBytes bounds what an attempt allocates, the test's own server included, whatever is thrown at it.
	hostileAllocBytes = 8 << 20
)

// Whatever a receiver does, an attempt ends in time with the right class, costs little and leaves nothing behind, and one
// beside that behaves gets everything.
func TestHostileReceivers(t *testing.T) {
	canary := receiver.New(t, nil)
	for _, h := range hostiles(canary.URL()) {
		t.Run(h.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			authority := receiver.NewAuthority(t)
			var server *receiver.Scripted
			url := (*receiver.Scripted).URL
			if h.config != nil {
				server = receiver.PlayTLS(t, h.config(authority), h.script)
				url = func(s *receiver.Scripted) string { return "https://" + s.Address() + "/hook" }
			} else {
				server = receiver.Play(t, h.script)
			}
			if h.url != nil {
				url = h.url
			}
			sender := loopbackSender(t, SenderOptions{Timeout: hostileTimeout, RootCAs: authority.Pool()})
			client, healthy := sender.NewClient(), newHealthy(t)
			target := loopbackTarget(t, url(server)+"?token=hunter2")

			var o Outcome
			started := time.Now()
			allocated := allocatedBy(func() {
				o = client.Send(t.Context(), target, senderEventID, []byte(`{"a":1}`))
			})
			took := time.Since(started)
			healthy.stop(t)

			require.Less(t, took, hostileTimeout+hostileSlack)
			require.Equal(t, h.code, o.Code, o.Error)
			if o.Class != h.or || h.or == "" {
				require.Equal(t, h.class, o.Class, o.Error)
			}
			require.Contains(t, o.Error, h.text)
			require.Equal(t, o.Code == 0, o.Error != "")
			require.NotContains(t, o.Error, "hunter2")
			require.NotContains(t, o.Error+o.ResponseBody+o.RetryAfter, "\x00")
			require.LessOrEqual(t, len(o.ResponseBody), 3*responseBodyMaxBytes)
			require.False(t, o.Aborted)
			require.Less(t, allocated, uint64(hostileAllocBytes))
			require.Equal(t, 1, server.Accepted(), "attempts")

			client.CloseIdle()
			server.Stop()
			require.Eventually(t, func() bool { return goleak.Find(before) == nil }, 30*time.Second, 10*time.Millisecond,
				"goroutines left behind")
		})
	}
	require.Zero(t, canary.Len(), "no redirect was followed")
}

// A body that the receiver does not read ends with the deadline too.
func TestHostileReceiverReadsNothingOfLargeBody(t *testing.T) {
	server := receiver.Play(t, hold)
	client := loopbackClient(t, SenderOptions{Timeout: hostileTimeout})
	body := bytes.Repeat([]byte("x"), 64<<20)
	started := time.Now()
	o := client.Send(t.Context(), loopbackTarget(t, server.URL()), senderEventID, body)
	require.Less(t, time.Since(started), hostileTimeout+hostileSlack)
	require.Equal(t, outbox.ClassTimeout, o.Class, o.Error)
}

// An answer counts though the receiver reads nothing of the request, and whatever it does afterwards.
func TestHostileReceiverAnswersWithoutReading(t *testing.T) {
	for name, then := range map[string]receiver.Script{
		"holds": hold, "closes": func(net.Conn) {}, "ends its half": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite(); hold(c) },
	} {
		t.Run(name, func(t *testing.T) {
			server := receiver.Play(t, func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
				then(c)
			})
			client := loopbackClient(t, SenderOptions{Timeout: time.Minute})
			for _, size := range []int{8, 64 << 20} {
				if size > 8 && name == "closes" {
					continue // it resets what it has not read, and may take the answer with it
				}
				started := time.Now()
				o := client.Send(t.Context(), loopbackTarget(t, server.URL()), senderEventID, bytes.Repeat([]byte("x"), size))
				require.Equal(t, 413, o.Code, o.Error)
				require.Equal(t, "big", o.ResponseBody)
				require.Less(t, time.Since(started), 30*time.Second)
				client.CloseIdle()
			}
		})
	}
}

func TestHostileConnects(t *testing.T) {
	for _, tt := range []struct {
		name  string
		url   func(t *testing.T) string
		class outbox.ErrorClass
		text  string
	}{
		{"nobody listens", func(t *testing.T) string {
			server := receiver.Play(t, receiver.Silence)
			server.Stop()
			return server.URL()
		}, outbox.ClassConnect, "connection refused"},
		{"connections are not taken", unacceptedURL, outbox.ClassTimeout, "no connection within 500ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := loopbackClient(t, SenderOptions{Timeout: hostileTimeout})
			url := tt.url(t)
			before := goleak.IgnoreCurrent()
			started := time.Now()
			o := client.Send(t.Context(), loopbackTarget(t, url+"?token=hunter2"), senderEventID, []byte(`{}`))
			require.Less(t, time.Since(started), hostileTimeout+hostileSlack)
			require.Equal(t, tt.class, o.Class, o.Error)
			require.Contains(t, o.Error, tt.text)
			require.NotContains(t, o.Error, "hunter2")
			require.Eventually(t, func() bool { return goleak.Find(before) == nil }, 30*time.Second, 10*time.Millisecond)
		})
	}
}

func TestHostileNameServers(t *testing.T) {
	for _, tt := range []struct {
		name string
		dns  *receiver.DNS
		text string
	}{
		{"no such host", receiver.NewDNS(t, noAddresses), "lookup crm.example.com: no such host"},
		{"silent", receiver.NewDNS(t, nil), "lookup crm.example.com: no answer from the DNS server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			client := loopbackClient(t, SenderOptions{Timeout: hostileTimeout, Resolver: tt.dns.Resolver()})
			started := time.Now()
			o := client.Send(t.Context(), loopbackTarget(t, "http://crm.example.com/?token=hunter2"), senderEventID, []byte(`{}`))
			require.Less(t, time.Since(started), hostileTimeout+hostileSlack)
			require.Equal(t, outbox.ClassDNS, o.Class, o.Error)
			require.Contains(t, o.Error, tt.text)
			require.Positive(t, tt.dns.Questions())
			require.Eventually(t, func() bool { return goleak.Find(before) == nil }, 30*time.Second, 10*time.Millisecond)
		})
	}
}

// healthy sends one request after the other to a receiver that behaves.
type healthy struct {
	receiver *receiver.Receiver
	client   *Client
	quit     chan struct{}
	done     chan struct{}
	sent     atomic.Int64
	slowest  time.Duration
	bad      []Outcome
}

func newHealthy(t *testing.T) *healthy {
	h := &healthy{
		receiver: receiver.New(t, nil), client: loopbackClient(t, SenderOptions{Timeout: hostileTimeout}),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	target := loopbackTarget(t, h.receiver.URL())
	ctx := t.Context()
	go func() {
		defer close(h.done)
		for {
			o := h.client.Send(ctx, target, senderEventID, []byte(`{}`))
			h.sent.Add(1)
			h.slowest = max(h.slowest, o.Duration())
			if o.Code != http.StatusOK {
				h.bad = append(h.bad, o)
			}
			select {
			case <-h.quit:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return h
}

func (h *healthy) stop(t *testing.T) {
	close(h.quit)
	<-h.done
	h.client.CloseIdle()
	h.receiver.Down()
	require.Empty(t, h.bad)
	require.EqualValues(t, h.sent.Load(), h.receiver.Len())
	require.Less(t, h.slowest, hostileTimeout)
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func noAddresses(string, int) []netip.Addr { return nil }

// unacceptedURL is of a listener whose queue is full, so that the handshake of TCP goes unanswered.
func unacceptedURL(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 10 { // until one is left waiting
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return "http://" + address + "/"
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the listener's queue never fills")
	return ""
}
