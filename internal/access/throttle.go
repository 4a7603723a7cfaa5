package access

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// freeFailures is how many wrong passwords a client may send before it has to wait: people mistype.
	freeFailures = 5
	// longestWait is short, since people behind one proxy share an address.
	longestWait = time.Minute
	// forgetAfter is when a client's failures no longer count.
	forgetAfter = 15 * time.Minute
	// mostClients bounds the memory. Where there are more, the one that failed longest ago is forgotten.
	mostClients = 4096
)

// throttle counts wrong passwords by client. Each failure after the free ones doubles the wait.
type throttle struct {
	mu      sync.Mutex
	clients map[string]*failure
}

type failure struct {
	count int
	last  time.Time
}

func newThrottle() *throttle { return &throttle{clients: make(map[string]*failure)} }

// wait returns how long a client has to wait before it may try again; 0: not at all.
func (t *throttle) wait(client string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.clients[client]
	if f == nil || f.count < freeFailures || now.Sub(f.last) > forgetAfter {
		return 0
	}
	pause := longestWait
	if over := f.count - freeFailures; over < 6 {
		pause = min(pause, time.Second<<over)
	}
	return max(0, pause-now.Sub(f.last))
}

func (t *throttle) failed(client string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.clients[client]
	if f == nil || now.Sub(f.last) > forgetAfter {
		t.makeRoom()
		f = &failure{}
		t.clients[client] = f
	}
	f.count++
	f.last = now
}

func (t *throttle) makeRoom() {
	if len(t.clients) < mostClients {
		return
	}
	var oldest string
	var at time.Time
	for client, f := range t.clients {
		if oldest == "" || f.last.Before(at) {
			oldest, at = client, f.last
		}
	}
	delete(t.clients, oldest)
}

func (t *throttle) succeeded(client string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clients, client)
}

// clientKey is a client's address; of IPv6 its network, within which anybody has addresses without number.
func clientKey(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}
