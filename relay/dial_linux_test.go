package relay

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestConnectionsToAVanishedPeerEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg, err := pgconn.ParseConfig("postgres://")
	require.NoError(t, err)
	boundConnection(cfg)
	conn, err := cfg.DialFunc(context.Background(), "tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	var idle, unacknowledged int
	require.NoError(t, raw.Control(func(fd uintptr) {
		idle, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		unacknowledged, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}))
	require.Equal(t, 10, idle)
	require.Equal(t, int(vanishedAfter.Milliseconds()), unacknowledged)

	require.Equal(t, connectTimeout, cfg.ConnectTimeout, "a server that is silent from the start is not waited on for ever")
	cfg, err = pgconn.ParseConfig("postgres://?connect_timeout=3")
	require.NoError(t, err)
	boundConnection(cfg)
	require.Equal(t, 3*time.Second, cfg.ConnectTimeout, "the URL's own wins")
}
