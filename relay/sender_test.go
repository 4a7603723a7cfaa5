package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/outbox"
)

const senderEventID = "01890a5d-ac96-774b-bcce-b302099a8057"

func TestSendRequest(t *testing.T) {
	r := receiver.New(t, nil)
	client := loopbackClient(t, SenderOptions{UserAgent: "relay/1.2.3"})
	target, err := NewTarget(r.URL()+"/a%2fb?token=x&y z#part", senderSecret, senderOtherSecret, map[string]string{
		"authorization": "Bearer t", "x-two": "1", "X-Two": "2",
	})
	require.NoError(t, err)
	body := []byte(`{"a": 1}`)
	before := time.Now()

	o := client.Send(t.Context(), target, senderEventID, body)

	require.Equal(t, http.StatusOK, o.Code, o.Error)
	require.True(t, o.Answered())
	require.Empty(t, o.Class)
	require.Empty(t, o.Error)
	require.False(t, o.StartedAt.Before(before))
	require.Positive(t, o.Duration())
	request := r.WaitFor(1)[0]
	require.Equal(t, http.MethodPost, request.Method)
	require.Equal(t, "/hook/a%2fb", (&url.URL{Path: request.Path, RawPath: "/hook/a%2fb"}).EscapedPath())
	require.Equal(t, "token=x&y%20z", request.Query)
	require.Equal(t, r.Address(), request.Host)
	require.Equal(t, string(body), string(request.Body))
	require.NoError(t, request.Verify(senderSecret))
	require.NoError(t, request.Verify(senderOtherSecret))
	require.Equal(t, http.Header{
		"Content-Type":      {"application/json"},
		"Content-Length":    {"8"},
		"User-Agent":        {"relay/1.2.3"},
		"Authorization":     {"Bearer t"},
		"X-Two":             {"2", "1"},
		"Webhook-Id":        {senderEventID},
		"Webhook-Timestamp": {fmt.Sprint(o.StartedAt.Unix())},
		"Webhook-Signature": request.Header["Webhook-Signature"],
	}, request.Header)
}

func TestSendAnswers(t *testing.T) {
	client := loopbackClient(t, SenderOptions{})
	for _, tt := range []struct {
		name   string
		answer string
		want   Outcome
	}{
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Outcome{Code: 200, ResponseBody: "ok"}},
		{"no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 200}},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", Outcome{Code: 204}},
		{"no reason", "HTTP/1.1 418\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 418}},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", Outcome{Code: 200, ResponseBody: "ok"}},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", Outcome{Code: 200, ResponseBody: "ok!"}},
		{"broken chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", Outcome{Code: 200, ResponseBody: "ok"}},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 302}},
		{"redirect to nowhere", "HTTP/1.1 307 Found\r\nLocation: http://[::1%zz]:x/\r\nContent-Length: 1\r\n\r\n!", Outcome{Code: 307, ResponseBody: "!"}},
		{"410", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 410}},
		{"500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 500}},
		{"999", "HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 999}},
		{"informational first", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 200}},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello", Outcome{Code: 101}},
		{
			"throttled", "HTTP/1.1 429 Slow\r\nRetry-After: 1000000000000\r\nContent-Length: 0\r\n\r\n",
			Outcome{Code: 429, RetryAfter: "1000000000000"},
		},
		{
			"throttled until a date past", "HTTP/1.1 503 Slow\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
			Outcome{Code: 503, RetryAfter: "Wed, 21 Oct 2015 07:28:00 GMT"},
		},
		{
			"throttled at length", "HTTP/1.1 503 Slow\r\nRetry-After: " + strings.Repeat("9", 9999) + "\r\nContent-Length: 0\r\n\r\n",
			Outcome{Code: 503, RetryAfter: strings.Repeat("9", retryAfterMaxBytes)},
		},
		{"not text", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na\x00\xff\xfeb\x00", Outcome{Code: 200, ResponseBody: "a\uFFFD\uFFFDb\uFFFD"}},
		{
			"1 KiB", "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024),
			Outcome{Code: 200, ResponseBody: strings.Repeat("x", 1024)},
		},
		{
			"a character across the end of 1 KiB", "HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n" + strings.Repeat("x", 1023) + "ü",
			Outcome{Code: 200, ResponseBody: strings.Repeat("x", 1023)},
		},
		{
			"much more", "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + strings.Repeat("ü", 50000),
			Outcome{Code: 200, ResponseBody: strings.Repeat("ü", 512)},
		},
		{
			"zipped unasked", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
			Outcome{Code: 200, ResponseBody: "\x1f\uFFFD\x08"},
		},
		{"two lengths that agree", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Outcome{Code: 200, ResponseBody: "ok"}},
		{"headers twice", "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n", Outcome{Code: 200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := receiver.Play(t, receiver.Answer(tt.answer))
			got := client.Send(t.Context(), loopbackTarget(t, s.URL()), senderEventID, []byte(`{}`))
			require.NotZero(t, got.StartedAt)
			require.NotZero(t, got.EndedAt)
			got.StartedAt, got.EndedAt = time.Time{}, time.Time{}
			require.Equal(t, tt.want, got)
			require.Equal(t, 1, s.Accepted())
		})
	}
}

// An answer leaves the kept connections of its client alone, 500 and 429 too, and one that was read to its end is used again.
func TestSendKeepsConnections(t *testing.T) {
	for _, code := range []int{200, 204, 302, 400, 410, 429, 500, 503} {
		r := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write(bytes.Repeat([]byte("x"), responseReadMaxBytes))
		}))
		client := loopbackClient(t, SenderOptions{})
		target := loopbackTarget(t, r.URL())
		for range 5 {
			require.Equal(t, code, client.Send(t.Context(), target, senderEventID, []byte(`{}`)).Code)
		}
		require.Len(t, connectionsOf(r), 1, "connections for %d", code)
	}
}

func TestClientsShareNoConnections(t *testing.T) {
	r := receiver.New(t, nil)
	refusing := receiver.Play(t, receiver.Close)
	sender := loopbackSender(t, SenderOptions{})
	healthy, failing := sender.NewClient(), sender.NewClient()
	t.Cleanup(healthy.CloseIdle)
	t.Cleanup(failing.CloseIdle)
	for range 3 {
		require.Equal(t, 200, healthy.Send(t.Context(), loopbackTarget(t, r.URL()), senderEventID, []byte(`{}`)).Code)
		o := failing.Send(t.Context(), loopbackTarget(t, refusing.URL()), senderEventID, []byte(`{}`))
		require.Equal(t, outbox.ClassReset, o.Class)
	}
	require.Len(t, connectionsOf(r), 1)
	require.Equal(t, 200, failing.Send(t.Context(), loopbackTarget(t, r.URL()), senderEventID, []byte(`{}`)).Code)
	require.Len(t, connectionsOf(r), 2)
}

func TestSendTimeout(t *testing.T) {
	r := receiver.New(t, nil)
	r.Hang()
	client := loopbackClient(t, SenderOptions{Timeout: 200 * time.Millisecond})
	o := client.Send(t.Context(), loopbackTarget(t, r.URL()+"?token=hunter2"), senderEventID, []byte(`{}`))
	require.Equal(t, outbox.ClassTimeout, o.Class)
	require.Equal(t, "no answer within 200ms", o.Error)
	require.False(t, o.Answered())
	require.False(t, o.Aborted)
	require.GreaterOrEqual(t, o.Duration(), 200*time.Millisecond)
	require.Equal(t, 1, r.Len())
}

// A target may have a timeout of its own, longer or shorter.
func TestSendTimeoutOfTarget(t *testing.T) {
	r := receiver.New(t, nil)
	r.Hang()
	client := loopbackClient(t, SenderOptions{Timeout: time.Minute})
	target := loopbackTarget(t, r.URL())
	target.Timeout = 200 * time.Millisecond
	o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
	require.Equal(t, "no answer within 200ms", o.Error)
	require.Equal(t, outbox.ClassTimeout, o.Class)
	require.Less(t, o.Duration(), 30*time.Second)
}

func TestSendAborted(t *testing.T) {
	for name, abort := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"cancelled for a reason": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(fmt.Errorf("stopping")) }
		},
		"cancelled further up": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			child, stop := context.WithTimeout(ctx, time.Hour)
			context.AfterFunc(child, stop)
			return child, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := receiver.New(t, nil)
			r.Hang()
			client := loopbackClient(t, SenderOptions{Timeout: time.Minute})
			ctx, cancel := abort(t.Context())
			go func() {
				r.WaitFor(1)
				cancel()
			}()
			o := client.Send(ctx, loopbackTarget(t, r.URL()), senderEventID, []byte(`{}`))
			require.True(t, o.Aborted)
			require.False(t, o.Answered())
			require.Equal(t, outbox.ClassOther, o.Class)
			require.Equal(t, "given up by the relay before there was an answer", o.Error)
			require.Less(t, o.Duration(), 30*time.Second)

			o = client.Send(ctx, loopbackTarget(t, r.URL()), senderEventID, []byte(`{}`))
			require.True(t, o.Aborted, "before it began")
			require.Equal(t, 1, r.Len())
		})
	}
	t.Run("by its deadline", func(t *testing.T) {
		r := receiver.New(t, nil)
		r.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		o := loopbackClient(t, SenderOptions{Timeout: time.Minute}).
			Send(ctx, loopbackTarget(t, r.URL()), senderEventID, []byte(`{}`))
		require.True(t, o.Aborted)
		require.Equal(t, outbox.ClassOther, o.Class)
	})
	t.Run("after the answer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := receiver.Play(t, receiver.Drip("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "x", 10*time.Millisecond))
		time.AfterFunc(100*time.Millisecond, cancel)
		o := loopbackClient(t, SenderOptions{}).Send(ctx, loopbackTarget(t, s.URL()), senderEventID, []byte(`{}`))
		if o.Answered() { // unless the machine was so busy that it took more than 100 ms
			require.Equal(t, 200, o.Code)
			require.False(t, o.Aborted)
		}
	})
}

func TestSendRequiresHTTPS(t *testing.T) {
	r := receiver.New(t, nil)
	client := loopbackClient(t, SenderOptions{RequireHTTPS: true})
	o := client.Send(t.Context(), loopbackTarget(t, r.URL()), senderEventID, []byte(`{}`))
	require.Equal(t, outbox.ClassBlocked, o.Class)
	require.Equal(t, "http refused: network.require_https is set", o.Error)
	require.Zero(t, r.Len())
}

func TestSendWithoutTarget(t *testing.T) {
	o := loopbackClient(t, SenderOptions{}).Send(t.Context(), nil, senderEventID, []byte(`{}`))
	require.Equal(t, outbox.ClassOther, o.Class)
	require.NotEmpty(t, o.Error)
	require.False(t, o.Aborted)
}

func TestSendOverTLS(t *testing.T) {
	authority := receiver.NewAuthority(t)
	config := authority.Config("127.0.0.1", nil)
	resumed := make(chan bool, 2)
	s := receiver.Play(t, func(c net.Conn) {
		server := tls.Server(c, config)
		receiver.Answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")(server)
		resumed <- server.ConnectionState().DidResume
	})
	client := loopbackClient(t, SenderOptions{RootCAs: authority.Pool(), RequireHTTPS: true})
	target := loopbackTarget(t, "https://"+s.Address())
	for _, again := range []bool{false, true} {
		o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
		require.Equal(t, 200, o.Code, o.Error)
		require.Equal(t, again, <-resumed, "session resumed")
	}
}

// A kept connection that the server has closed: nothing is lost where the relay can know before it writes; where it
// can't, the request is not repeated behind its back.
func TestSendOnStaleConnection(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	t.Run("closed while idle", func(t *testing.T) {
		closed := make(chan struct{}, 10)
		s := receiver.Play(t, func(c net.Conn) {
			if receiver.ReadRequest(c) == nil {
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
				closed <- struct{}{}
			}
		})
		client := loopbackClient(t, SenderOptions{})
		for range 5 {
			o := client.Send(t.Context(), loopbackTarget(t, s.URL()), senderEventID, []byte(`{}`))
			require.Equal(t, 200, o.Code, o.Error)
			<-closed
			time.Sleep(20 * time.Millisecond) // for the end of the connection to get here
		}
		require.Equal(t, 5, s.Accepted())
	})
	t.Run("closed on the second request", func(t *testing.T) {
		var requests atomic.Int32
		s := receiver.Play(t, func(c net.Conn) {
			if receiver.ReadRequest(c) == nil {
				requests.Add(1)
				_, _ = io.WriteString(c, answer)
			}
			if receiver.ReadRequest(c) == nil {
				requests.Add(1)
			}
		})
		client := loopbackClient(t, SenderOptions{})
		target := loopbackTarget(t, s.URL())
		require.Equal(t, 200, client.Send(t.Context(), target, senderEventID, []byte(`{}`)).Code)
		o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
		require.Equal(t, outbox.ClassReset, o.Class, o.Error)
		require.EqualValues(t, 2, requests.Load(), "each sent once")
		require.Equal(t, 1, s.Accepted())
	})
}

func TestSendLargeBody(t *testing.T) {
	r := receiver.New(t, nil)
	client := loopbackClient(t, SenderOptions{Timeout: time.Minute})
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	require.Equal(t, 200, client.Send(t.Context(), loopbackTarget(t, r.URL()), senderEventID, body).Code)
	request := r.WaitFor(1)[0]
	require.True(t, bytes.Equal(body, request.Body))
	require.NoError(t, request.Verify(senderSecret))

	early := receiver.Play(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 100))
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		receiver.Silence(c)
	})
	require.Equal(t, 413, client.Send(t.Context(), loopbackTarget(t, early.URL()), senderEventID, body).Code)
}

func TestSendConcurrently(t *testing.T) {
	const workers, each = 16, 50
	r := receiver.New(t, nil)
	client := loopbackClient(t, SenderOptions{Timeout: time.Minute})
	target := loopbackTarget(t, r.URL())
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", worker, i)
				o := client.Send(t.Context(), target, id, []byte(`{"id":"`+id+`"}`))
				assert.Equal(t, 200, o.Code, o.Error)
			}
		})
	}
	group.Wait()
	require.Len(t, r.IDs(), workers*each)
	for _, request := range r.Requests() {
		require.Equal(t, `{"id":"`+request.ID+`"}`, string(request.Body))
		require.NoError(t, request.Verify(senderSecret))
	}
	require.LessOrEqual(t, len(connectionsOf(r)), 2*workers)
}

func connectionsOf(r *receiver.Receiver) map[string]bool {
	remotes := make(map[string]bool)
	for _, request := range r.Requests() {
		remotes[request.Remote] = true
	}
	return remotes
}

// loopbackSender may reach loopback and nothing else beyond public addresses.
func loopbackSender(t testing.TB, o SenderOptions) *Sender {
	t.Helper()
	if o.Guard == nil {
		guard, err := NewGuard(config.Network{Allow: []string{"127.0.0.0/8", "::1/128"}})
		require.NoError(t, err)
		o.Guard = guard
	}
	return NewSender(o)
}

func loopbackClient(t testing.TB, o SenderOptions) *Client {
	t.Helper()
	client := loopbackSender(t, o).NewClient()
	t.Cleanup(client.CloseIdle)
	return client
}

func loopbackTarget(t testing.TB, rawURL string) *Target {
	t.Helper()
	target, err := NewTarget(rawURL, senderSecret, "", nil)
	require.NoError(t, err)
	return target
}
