package receiver_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/receiver"
)

func post(ctx context.Context, url, id string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(`{"id":"`+id+`"}`))
	if err != nil {
		return 0, err
	}
	request.Header.Set("webhook-id", id)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func requirePost(t *testing.T, url, id string, want int) {
	t.Helper()
	code, err := post(t.Context(), url, id)
	require.NoError(t, err)
	require.Equal(t, want, code)
}

func TestReceiverKeepsAJournal(t *testing.T) {
	r := receiver.New(t, nil)
	for _, id := range []string{"b", "a", "b", "c"} {
		requirePost(t, r.URL(), id, http.StatusOK)
	}
	requests := r.WaitFor(4)
	require.Len(t, requests, 4)
	require.Equal(t, 4, r.Len())
	require.Equal(t, []string{"b", "a", "c"}, r.IDs())
	require.Equal(t, 2, r.Count("b"))
	require.Zero(t, r.Count("d"))
	require.JSONEq(t, `{"id":"a"}`, string(requests[1].Body))
	require.WithinDuration(t, time.Now(), requests[0].At, time.Minute)
	require.Error(t, requests[0].Verify("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="), "not signed")
}

func TestReceiverChangesItsBehaviour(t *testing.T) {
	r := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(200 + len(body))
	}))
	requirePost(t, r.URL(), "", 200+len(`{"id":""}`))
	r.SetStatus(http.StatusGone)
	requirePost(t, r.URL(), "1", http.StatusGone)
	r.SetHandler(nil)
	requirePost(t, r.URL(), "2", http.StatusGone)
	r.SetDelay(50 * time.Millisecond)
	before := time.Now()
	requirePost(t, r.URL(), "3", http.StatusGone)
	require.GreaterOrEqual(t, time.Since(before), 50*time.Millisecond)
}

func TestReceiverHangs(t *testing.T) {
	r := receiver.New(t, nil)
	r.Hang()
	codes := make(chan int)
	ctx := t.Context()
	go func() {
		code, _ := post(ctx, r.URL(), "1")
		codes <- code
	}()
	r.WaitFor(1)
	select {
	case code := <-codes:
		require.Fail(t, "answered", "%d", code)
	case <-time.After(50 * time.Millisecond):
	}
	r.Release()
	require.Equal(t, http.StatusOK, <-codes)
	requirePost(t, r.URL(), "2", http.StatusOK)
}

func TestReceiverGoesDownAndComesBack(t *testing.T) {
	r := receiver.New(t, nil)
	url := r.URL()
	for range 3 {
		requirePost(t, url, "1", http.StatusOK)
		r.Down()
		r.Down()
		_, err := post(t.Context(), url, "2")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		r.Up()
		r.Up()
		require.Equal(t, url, r.URL())
	}
	require.Equal(t, 3, r.Count("1"))
	require.Zero(t, r.Count("2"))
}

func TestReceiverKeepsItsPortWhileDown(t *testing.T) {
	r := receiver.New(t, nil)
	r.Down()
	_, err := net.Listen("tcp", r.Address())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	_, err = post(t.Context(), r.URL(), "1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	r.Up()
	requirePost(t, r.URL(), "2", http.StatusOK)
}

func TestReceiverSkipsBodies(t *testing.T) {
	r := receiver.New(t, nil)
	r.SkipBodies()
	requirePost(t, r.URL(), "1", http.StatusOK)
	require.Nil(t, r.Requests()[0].Body)
	require.Equal(t, 1, r.Count("1"))
}

func TestDNS(t *testing.T) {
	dns := receiver.NewDNS(t, func(name string, n int) []netip.Addr {
		switch name {
		case "both.example":
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
		case "changing.example":
			return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}
		}
		return nil
	})
	resolver := dns.Resolver()
	addrs, err := resolver.LookupNetIP(t.Context(), "ip", "Both.example.")
	require.NoError(t, err)
	require.ElementsMatch(t, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, addrs)
	for n := byte(1); n <= 3; n++ {
		addrs, err = resolver.LookupNetIP(t.Context(), "ip4", "changing.example.")
		require.NoError(t, err)
		require.Equal(t, []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, n})}, addrs)
	}
	_, err = resolver.LookupNetIP(t.Context(), "ip", "nobody.example.")
	require.ErrorContains(t, err, "no such host")
	require.GreaterOrEqual(t, dns.Questions(), 6)
}
