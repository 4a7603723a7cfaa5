//go:build unix

package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// helperVariable makes this test binary do something else: what another process is needed for.
const helperVariable = "RELAY_POSTGRES_TEST_HELPER"

func help(name string) {
	var err error
	switch name {
	case "cluster": // Start one under TMPDIR, say where it is, and leave it to be killed.
		var c *Cluster
		if c, err = Start(context.Background(), Options{FsyncOff: true}); err == nil {
			fmt.Println(c.PID(), c.folder.path)
			select {}
		}
	case "whole": // Start and close one.
		var c *Cluster
		if c, err = Start(context.Background(), Options{FsyncOff: true}); err == nil {
			fmt.Println(c.PID(), c.folder.path)
			err = c.Close()
		}
	case "watchdog":
		cmd := exec.Command("sleep", "600")
		if err = cmd.Start(); err == nil {
			watchdog(cmd.Process.Pid)
			fmt.Println(cmd.Process.Pid, "")
			select {}
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// helper starts one, and returns it with the process and the folder that it speaks of.
func helper(t *testing.T, name, binary, tmp string, attributes *syscall.SysProcAttr) (cmd *exec.Cmd, pid int, folder string) {
	t.Helper()
	cmd = exec.Command(binary)
	cmd.Env = append(os.Environ(), helperVariable+"="+name, "TMPDIR="+tmp)
	cmd.Dir = tmp
	cmd.SysProcAttr = attributes
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	first, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	pid, err = strconv.Atoi(first)
	require.NoError(t, err, line)
	go func() { _, _ = io.Copy(io.Discard, output) }()
	return cmd, pid, rest
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

func ended(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

func TestServerEndsWithItsProcessAndIsSweptUp(t *testing.T) {
	dir := parent(t)
	cmd, pid, left := helper(t, "cluster", self(t), dir, nil)
	require.False(t, ended(pid))
	require.NoError(t, sweep(dir))
	require.DirExists(t, left, "it is in use")

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return ended(pid) }, soon, tick, "the server ends by itself")
	require.DirExists(t, left)
	require.Eventually(t, func() bool { // Once the last of its children has ended too.
		require.NoError(t, sweep(dir))
		_, err := os.Stat(left)
		return os.IsNotExist(err)
	}, soon, tick)
}

func TestServerKilledTogetherWithItsProcess(t *testing.T) {
	dir := parent(t)
	cmd, pid, left := helper(t, "cluster", self(t), dir, nil)
	children := childProcesses(pid)
	pidFile := readFile(t, filepath.Join(left, "data", "postmaster.pid"))
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	for _, child := range children {
		require.Eventually(t, func() bool { return ended(child) }, soon, tick)
	}
	require.FileExists(t, filepath.Join(left, "data", "postmaster.pid"), "nobody cleared up")
	start(t, Options{Dir: dir})
	require.NoFileExists(t, left, "the next start did")
	require.False(t, segmentExists(t, segmentIn(t, pidFile)))
}

func TestSweepLeavesAloneWhatIsNotOurs(t *testing.T) {
	dir, elsewhere := reachable(t), reachable(t)
	mine := filepath.Join(dir, folderPrefix+"of-a-user")
	require.NoError(t, os.Mkdir(mine, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(mine, "precious"), nil, 0o600))
	marked := filepath.Join(elsewhere, "marked")
	require.NoError(t, os.Mkdir(marked, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(marked, markName), nil, 0o600))
	require.NoError(t, os.Symlink(marked, filepath.Join(dir, folderPrefix+"link")))
	other := filepath.Join(dir, "other")
	require.NoError(t, os.Mkdir(other, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(other, markName), nil, 0o600))
	held, err := newFolder(dir, nil)
	require.NoError(t, err)
	begun := filepath.Join(dir, folderPrefix+"begun")
	require.NoError(t, os.Mkdir(begun, 0o755))
	abandoned := filepath.Join(dir, folderPrefix+"abandoned")
	require.NoError(t, os.MkdirAll(filepath.Join(abandoned, "data"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(abandoned, markName), nil, 0o600))

	require.NoError(t, sweep(dir))
	for _, path := range []string{filepath.Join(mine, "precious"), filepath.Join(marked, markName), filepath.Join(other, markName)} {
		require.FileExists(t, path)
	}
	require.DirExists(t, held.path)
	require.NoDirExists(t, begun)
	require.NoDirExists(t, abandoned)
	require.NoError(t, held.remove())
	require.NoDirExists(t, held.path)
}

func TestPlainUser(t *testing.T) {
	as, err := serverAccount()
	require.NoError(t, err)
	if as == nil {
		return // Every other test is this test.
	}
	dir := parent(t)
	require.NoError(t, os.Chmod(dir, 0o777))
	// The binary is where only we may go: copy it.
	binary := filepath.Join(reachable(t), "helper")
	content, err := os.ReadFile(self(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, content, 0o755))
	cmd, _, left := helper(t, "whole", binary, dir, &syscall.SysProcAttr{Credential: as.credential()})
	require.NoError(t, cmd.Wait())
	require.NoDirExists(t, left)
}

func TestWatchdog(t *testing.T) {
	cmd, pid, _ := helper(t, "watchdog", self(t), t.TempDir(), nil)
	require.False(t, ended(pid))
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return ended(pid) }, soon, tick)
}

func TestWatchdogReleased(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	require.NoError(t, cmd.Start())
	watchdog(cmd.Process.Pid)()
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.Signal(0)), "it lives on")
	require.NoError(t, cmd.Process.Kill())
	require.ErrorContains(t, cmd.Wait(), "killed")
}

func TestAccountThatMayNotEnter(t *testing.T) {
	as := &account{name: "postgres", uid: 1 << 30, gid: 1 << 30}
	dir := reachable(t)
	inner := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(inner, 0o755))
	require.NoError(t, as.reach(inner))
	require.NoError(t, os.Chmod(filepath.Join(dir, "a"), 0o700))
	require.ErrorContains(t, as.reach(inner), "user postgres, who runs Postgres, may not enter "+filepath.Join(dir, "a"))
	require.Error(t, as.reach(filepath.Join(dir, "missing")))
	require.NoError(t, (*account)(nil).reach(inner))
}
