package receiver

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// DNS is a name server on loopback, over UDP. It answers A and AAAA questions as it is told to at the time.
type DNS struct {
	conn    net.PacketConn
	stopped chan struct{}

	mu        sync.Mutex
	lookup    func(name string, asked int) []netip.Addr
	asked     map[string]int
	questions int
}

// NewDNS starts a name server that stops when the test ends. lookup gives the addresses of a name (lower case, no dot at
// its end) when it is asked for the n-th time, from 1 on, A and AAAA counted apart; none: there is no such name; nil
// lookup: it never answers.
func NewDNS(t testing.TB, lookup func(name string, n int) []netip.Addr) *DNS {
	t.Helper()
	var config net.ListenConfig
	conn, err := config.ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("receiver: %v", err)
	}
	d := &DNS{conn: conn, lookup: lookup, asked: make(map[string]int), stopped: make(chan struct{})}
	go d.serve()
	t.Cleanup(func() {
		_ = conn.Close()
		<-d.stopped
	})
	return d
}

// Resolver asks this server and no other.
func (d *DNS) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "udp", d.conn.LocalAddr().String())
	}}
}

// Questions is how many questions have been asked.
func (d *DNS) Questions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.questions
}

func (d *DNS) serve() {
	defer close(d.stopped)
	buffer := make([]byte, 1500)
	for {
		n, from, err := d.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer := d.answer(buffer[:n]); answer != nil {
			_, _ = d.conn.WriteTo(answer, from)
		}
	}
}

const (
	dnsHeaderBytes = 12
	dnsTypeA       = 1
	dnsTypeAAAA    = 28
)

// answer makes the reply to a query with one question; nil: none.
func (d *DNS) answer(query []byte) []byte {
	name, end := dnsName(query)
	if end == 0 || end+4 > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end:])
	addrs, ok := d.addresses(name, kind)
	if !ok {
		return nil
	}
	reply := append([]byte(nil), query[:end+4]...)
	copy(reply[2:dnsHeaderBytes], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // response, recursion; one question
	if len(addrs) == 0 {
		reply[3] |= 3 // no such name
	}
	for _, addr := range addrs {
		if addr.Is4() != (kind == dnsTypeA) {
			continue
		}
		reply[7]++
		reply = append(reply, 0xc0, dnsHeaderBytes) // the name in the question
		reply = binary.BigEndian.AppendUint16(reply, kind)
		reply = append(reply, 0, 1, 0, 0, 0, 0) // class IN, time to live 0
		reply = binary.BigEndian.AppendUint16(reply, uint16(addr.BitLen()/8))
		reply = append(reply, addr.AsSlice()...)
	}
	return reply
}

func (d *DNS) addresses(name string, kind uint16) ([]netip.Addr, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.questions++
	if d.lookup == nil {
		return nil, false
	}
	key := name
	if kind == dnsTypeAAAA {
		key += " AAAA"
	}
	d.asked[key]++
	return d.lookup(name, d.asked[key]), true
}

// dnsName reads the name of the question; end is where it ends, 0 where it can't be read.
func dnsName(query []byte) (name string, end int) {
	var labels []string
	for i := dnsHeaderBytes; i < len(query); {
		length := int(query[i])
		i++
		if length == 0 {
			return strings.ToLower(strings.Join(labels, ".")), i
		}
		if length > 63 || i+length > len(query) {
			return "", 0
		}
		labels = append(labels, string(query[i:i+length]))
		i += length
	}
	return "", 0
}
