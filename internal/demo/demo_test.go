package demo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDemoProvesItselfAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", worldTemp(t))
	var out bytes.Buffer
	err := Run(t.Context(), t.Context(), Options{Out: &out, For: 3 * time.Second, Rate: 50, Version: "test"})
	require.NoError(t, err, out.String())
	require.Contains(t, out.String(), "missing 0, twice at crm 0")
	require.Contains(t, out.String(), "received by anyone 0")
	require.Contains(t, out.String(), "rejected  1         500")

	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left, "files left behind")
	processes, _ := exec.Command("pgrep", "-f", os.Getenv("TMPDIR")).Output() // Exit code 1: none.
	require.Empty(t, string(processes), "processes left behind")
}

// worldTemp is a temporary folder that the user Postgres runs as can reach, even when the test runs as root.
func worldTemp(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "relay-demo-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o777)) //nolint:gosec // Of a test, for a moment.
	return filepath.Clean(folder)
}
