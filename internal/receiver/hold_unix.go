//go:build unix

package receiver

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// shared lets a listener and what holds its port have it at the same time.
func shared(_, _ string, c syscall.RawConn) error {
	var err error
	if fault := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); fault != nil {
		return fault
	}
	return err
}

// hold binds a port of 127.0.0.1 without listening: connections are refused while nobody else listens, and nobody else
// is given the port meanwhile, who would answer in the receiver's place.
func hold(address net.Addr) (release func(), err error) {
	tcp := address.(*net.TCPAddr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())})
	}
	if err != nil {
		_ = unix.Close(fd) // Of no use.
		return nil, err
	}
	return func() { _ = unix.Close(fd) }, nil
}
