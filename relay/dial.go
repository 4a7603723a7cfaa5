package relay

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// vanishedAfter is how long a connection to Postgres outlives a peer that has vanished.
const vanishedAfter = 30 * time.Second

// connectTimeout bounds the making of a connection, the server's greeting included, where the URL says nothing: a server
// that takes the connection and then is silent would be waited on for ever.
const connectTimeout = 15 * time.Second

// boundConnection sees to it that connections are made in time, and found out when the peer has vanished: a relay that
// waits on a dead connection delivers nothing, and nobody takes over.
func boundConnection(c *pgconn.Config) {
	c.DialFunc = dialPostgres
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
}

// dialPostgres opens connections on which a peer that has vanished is found out: by keepalives while nothing is under way,
// and by the kernel's limit on what is sent and not acknowledged, for which no keepalive is sent.
func dialPostgres(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		Timeout:         10 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
		Control:         limitUnacknowledged,
	}
	return d.DialContext(ctx, network, address)
}
