//go:build linux || (darwin && !ios)

package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// segmentLine is the line of postmaster.pid, counted from 0, with the key and id of the shared memory segment by which a
// server makes sure that it is alone on its data folder.
const segmentLine = 6

// removeSegment removes the shared memory segment of a server that was killed: the one resource that outlives both its
// processes and its files. A server that stopped in an orderly way has removed it, and postmaster.pid too.
func removeSegment(dataDir string) error {
	content, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read postmaster.pid: %w", err)
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) <= segmentLine {
		return nil
	}
	fields := strings.Fields(lines[segmentLine])
	if len(fields) != 2 {
		return nil
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil //nolint:nilerr // Not written to the end: then there is none yet.
	}
	info, err := os.Stat(dataDir)
	if err != nil {
		return fmt.Errorf("look at the data folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil || !ok ||
		segment.Nattch != 0 || segment.Perm.Uid != owner.Uid {
		return nil //nolint:nilerr // Gone already, or the number is another's by now.
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("remove shared memory segment %d: %w", id, err)
	}
	return nil
}
