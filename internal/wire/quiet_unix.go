//go:build unix

package wire

import "syscall"

// isQuiet reports whether a socket that does not block is open and has nothing to read. What it reads if there is
// something is lost, and the connection with it.
func isQuiet(fd uintptr) bool {
	var one [1]byte
	for {
		_, err := syscall.Read(int(fd), one[:])
		switch err { //nolint:errorlint // system calls return bare numbers
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return true
		default: // The end, an error, or a byte that nobody asked for.
			return false
		}
	}
}
