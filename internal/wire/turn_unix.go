//go:build unix

package wire

import (
	"io"
	"net"
	"os"
	"syscall"
)

// canTurn says that turns are taken on this system.
const canTurn = true

// step goes on with the turn as far as the socket, which does not block, lets it. It is done when it says so, and else to
// be called again once there is something to read.
func (t *turn) step(fd uintptr) (done bool) {
	if !t.asked {
		t.asked = true
		if !isQuiet(fd, t.answer[:1]) {
			t.stale = true
			return true
		}
		n, _ := again(syscall.Write, fd, t.request) // An error comes again where the rest is written.
		t.written = max(0, n)
		return t.written < len(t.request)
	}
	t.n, t.err = again(syscall.Read, fd, t.answer)
	switch {
	case t.err == syscall.EAGAIN: //nolint:errorlint // a bare number
		return false
	case t.err != nil:
		t.n, t.err = 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", t.err)}
	case t.n == 0:
		t.err = io.EOF
	}
	return true
}

// isQuiet reports whether a socket that does not block is open and has nothing to read. It spoils one, a byte.
func isQuiet(fd uintptr, one []byte) bool {
	_, err := again(syscall.Read, fd, one)
	return err == syscall.EAGAIN //nolint:errorlint // a bare number
}

// again makes a system call until it is not interrupted.
func again(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR { //nolint:errorlint // a bare number
			return n, err
		}
	}
}
