package relay

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/outbox"
)

// The tests here let a sender reach one address of loopback, openHost, and try to get it to others: canaries listen on
// these, and must never see a connection.
const openHost = "127.0.0.2"

// canaries listen on one port of 127.0.0.1 and ::1; open is a server on the same port of openHost.
type canaries struct {
	port  string
	open  *receiver.Scripted
	ports []*receiver.Scripted
}

func newCanaries(t *testing.T, script receiver.Script) *canaries {
	t.Helper()
	c := &canaries{open: receiver.PlayOn(t, openHost+":0", script)}
	_, c.port, _ = net.SplitHostPort(c.open.Address())
	hosts := []string{"127.0.0.1"}
	if probe, err := net.Listen("tcp", "[::1]:0"); err == nil { // where the machine has IPv6
		_ = probe.Close()
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		c.ports = append(c.ports, receiver.PlayOn(t, net.JoinHostPort(host, c.port), receiver.Answer(accepted)))
	}
	return c
}

const accepted = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func (c *canaries) requireUntouched(t *testing.T) {
	t.Helper()
	for _, canary := range c.ports {
		require.Zero(t, canary.Accepted(), "connections to %s", canary.Address())
	}
}

// ssrfClient reaches openHost and public addresses; names are looked up at the resolver given.
func ssrfClient(t *testing.T, resolver *net.Resolver) *Client {
	t.Helper()
	guard, err := NewGuard(config.Network{Allow: []string{openHost + "/32"}})
	require.NoError(t, err)
	return loopbackClient(t, SenderOptions{Timeout: 5 * time.Second, Guard: guard, Resolver: resolver})
}

// urlOf writes an address as a URL.
func urlOf(literal, port string) string {
	if strings.Contains(literal, ":") {
		literal = "[" + strings.ReplaceAll(literal, "%", "%25") + "]"
	}
	return fmt.Sprintf("http://%s:%s/hook", literal, port)
}

func TestSSRFDirect(t *testing.T) {
	require.GreaterOrEqual(t, len(refusedLiterals), 120)
	c := newCanaries(t, receiver.Answer(accepted))
	client := ssrfClient(t, receiver.NewDNS(t, noAddresses).Resolver())
	for _, literal := range refusedLiterals {
		o := client.Send(t.Context(), loopbackTarget(t, urlOf(literal, c.port)), senderEventID, []byte(`{}`))
		require.Equal(t, outbox.ClassBlocked, o.Class, "%s: %s", literal, o.Error)
		require.Contains(t, o.Error, "refused")
	}
	o := client.Send(t.Context(), loopbackTarget(t, urlOf(openHost, c.port)), senderEventID, []byte(`{}`))
	require.Equal(t, 200, o.Code, o.Error)
	c.requireUntouched(t)
}

// Other ways to write an address are names to Go, and so a matter of DNS: here one that takes them all for 127.0.0.1.
func TestSSRFEncodings(t *testing.T) {
	c := newCanaries(t, receiver.Answer(accepted))
	loopback := receiver.NewDNS(t, func(string, int) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	})
	client := ssrfClient(t, loopback.Resolver())
	for _, host := range []string{
		"localhost", "LOCALHOST", "localhost.", "ip6-localhost", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1",
		"0177.0.0.1", "017700000001", "127.0.0.1.", "127.0.0.01", "127.000.000.001", "0", "0x0", "0.0.0.0.", "1.0.0.127.in-addr.arpa",
		"①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "127.0.0.1.nip.io", "localtest.me", "%31%32%37.0.0.1", "127%2e0%2e0%2e1",
		"[::ffff:7f00:0001]", "[0:0:0:0:0:ffff:127.0.0.1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::127.0.0.1]",
		"[::1%25lo]", "[fe80::1%25lo]",
	} {
		target, err := NewTarget("http://"+host+":"+c.port+"/hook", senderSecret, "", nil)
		if err != nil {
			continue // refused before it gets anywhere
		}
		o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
		require.False(t, o.Answered(), host)
		require.Contains(t, []outbox.ErrorClass{outbox.ClassBlocked, outbox.ClassDNS}, o.Class, "%s: %s", host, o.Error)
	}
	c.requireUntouched(t)
}

func TestSSRFByName(t *testing.T) {
	c := newCanaries(t, receiver.Answer(accepted))
	var answer atomic.Pointer[[]netip.Addr]
	dns := receiver.NewDNS(t, func(string, int) []netip.Addr { return *answer.Load() })
	client := ssrfClient(t, dns.Resolver())
	target := loopbackTarget(t, urlOf("crm.example.com", c.port))
	four, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	for _, literal := range refusedLiterals {
		addr, err := netip.ParseAddr(literal)
		if err != nil || addr.Zone() != "" {
			continue // no record of DNS
		}
		for _, addrs := range [][]netip.Addr{{addr}, {addr, six}, {four, addr}, {six, addr, four}} {
			answer.Store(&addrs)
			o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
			require.Equal(t, outbox.ClassBlocked, o.Class, "%s: %s", addrs, o.Error)
		}
	}
	c.requireUntouched(t)
}

// A name with good and refused addresses is delivered to the good one, whatever the order.
func TestSSRFMixedRecords(t *testing.T) {
	c := newCanaries(t, receiver.Answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	open := netip.MustParseAddr(openHost)
	var answer atomic.Pointer[[]netip.Addr]
	dns := receiver.NewDNS(t, func(string, int) []netip.Addr { return *answer.Load() })
	client := ssrfClient(t, dns.Resolver())
	target := loopbackTarget(t, urlOf("crm.example.com", c.port))
	sent := 0
	for _, literal := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "169.254.169.254", "64:ff9b::7f00:1"} {
		refused := netip.MustParseAddr(literal)
		for _, addrs := range [][]netip.Addr{{refused, open}, {open, refused}, {refused, refused, open, refused}} {
			answer.Store(&addrs)
			o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
			require.Equal(t, 200, o.Code, "%s: %s", addrs, o.Error)
			sent++
		}
	}
	require.Equal(t, sent, c.open.Accepted())
	c.requireUntouched(t)
}

// A name that is good when first looked up, and something else from then on.
func TestSSRFRebinding(t *testing.T) {
	c := newCanaries(t, receiver.Answer("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
	for i, rebound := range [][]netip.Addr{
		{netip.MustParseAddr("127.0.0.1")}, {netip.MustParseAddr("::1")},
		{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}, {netip.MustParseAddr("169.254.169.254")},
	} {
		dns := receiver.NewDNS(t, func(_ string, n int) []netip.Addr {
			if n == 1 {
				return []netip.Addr{netip.MustParseAddr(openHost)}
			}
			return rebound
		})
		client := ssrfClient(t, dns.Resolver())
		target := loopbackTarget(t, urlOf(fmt.Sprintf("rebind%d.example.com", i), c.port))
		require.Equal(t, 200, client.Send(t.Context(), target, senderEventID, []byte(`{}`)).Code)
		for range 3 {
			o := client.Send(t.Context(), target, senderEventID, []byte(`{}`))
			require.Equal(t, outbox.ClassBlocked, o.Class, o.Error)
		}
	}
	require.Equal(t, 4, c.open.Accepted())
	c.requireUntouched(t)
}

func TestSSRFRedirect(t *testing.T) {
	var answer atomic.Value
	c := newCanaries(t, func(conn net.Conn) { receiver.Answer(answer.Load().(string))(conn) })
	client := ssrfClient(t, receiver.NewDNS(t, noAddresses).Resolver())
	target := loopbackTarget(t, urlOf(openHost, c.port))
	sent := 0
	for i, literal := range refusedLiterals {
		code := []int{301, 302, 303, 307, 308}[i%5]
		answer.Store(fmt.Sprintf("HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			code, urlOf(literal, c.port)))
		require.Equal(t, code, client.Send(t.Context(), target, senderEventID, []byte(`{}`)).Code)
		sent++
	}
	require.Equal(t, sent, c.open.Accepted())
	c.requireUntouched(t)
}

// A proxy would be asked for the refused address, and the guard see nothing but the proxy.
func TestSSRFProxy(t *testing.T) {
	proxy := receiver.PlayOn(t, openHost+":0", receiver.Answer(accepted))
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://"+proxy.Address())
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	c := newCanaries(t, receiver.Answer(accepted))
	client := ssrfClient(t, receiver.NewDNS(t, noAddresses).Resolver())
	for _, scheme := range []string{"http", "https"} {
		for _, literal := range refusedLiterals {
			url := scheme + strings.TrimPrefix(urlOf(literal, c.port), "http")
			o := client.Send(t.Context(), loopbackTarget(t, url), senderEventID, []byte(`{}`))
			require.Equal(t, outbox.ClassBlocked, o.Class, "%s: %s", url, o.Error)
		}
	}
	require.Equal(t, 200, client.Send(t.Context(), loopbackTarget(t, urlOf(openHost, c.port)), senderEventID, []byte(`{}`)).Code)
	require.Zero(t, proxy.Accepted())
	c.requireUntouched(t)
}
