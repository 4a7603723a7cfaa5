//go:build linux || (darwin && !ios)

package postgres

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func segmentID(t *testing.T, c *Cluster) int {
	t.Helper()
	return segmentIn(t, readFile(t, filepath.Join(c.DataDir(), "postmaster.pid")))
}

// segmentIn finds the id in the content of a postmaster.pid, and makes sure that there is such a segment.
func segmentIn(t *testing.T, pidFile string) int {
	t.Helper()
	id, err := strconv.Atoi(strings.Fields(strings.Split(pidFile, "\n")[segmentLine])[1])
	require.NoError(t, err)
	return id
}

func segmentExists(t *testing.T, id int) bool {
	t.Helper()
	var segment unix.SysvShmDesc
	_, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment)
	if err != nil {
		require.ErrorIs(t, err, unix.EINVAL)
	}
	return err == nil
}
