//go:build unix

package relay

import (
	"math"

	"golang.org/x/sys/unix"
)

// openFilesLimit returns how many files this process may have open. Go has raised it to the hard limit at the start.
func openFilesLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur) //nolint:unconvert // signed on FreeBSD
}
