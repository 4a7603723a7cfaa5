package relay

import (
	"context"
	"net"
	"time"
)

// dialPostgres opens connections on which a peer that has vanished is found out within half a minute: a relay that waits
// on a dead connection delivers nothing, and nobody takes over.
func dialPostgres(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		Timeout:         10 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	return d.DialContext(ctx, network, address)
}
