//go:build unix

package postgres

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStopAndResumeKeepPortAndData(t *testing.T) {
	c := start(t, Options{})
	execute(t, c, "CREATE TABLE t (n int)")
	url, pid := c.URL("postgres"), c.PID()
	for _, mode := range []StopMode{Fast, Immediate, Smart} {
		execute(t, c, "INSERT INTO t VALUES (1)")
		require.NoError(t, c.Stop(t.Context(), mode))
		require.NoError(t, c.Stop(t.Context(), mode), "again")
		require.Zero(t, c.PID())
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		require.NoError(t, c.Resume(t.Context()))
		require.Equal(t, url, c.URL("postgres"))
		require.NotEqual(t, pid, c.PID())
		pid = c.PID()
	}
	require.Equal(t, "3", query(t, c, "SELECT count(*)::text FROM t"))
	require.ErrorContains(t, c.Resume(t.Context()), "it is running")
}

func TestKillAndResume(t *testing.T) {
	c := start(t, Options{})
	execute(t, c, "CREATE TABLE t AS SELECT generate_series(1, 10) AS n")
	// A session that computes without a pause, and so does not notice that the postmaster is gone.
	busy := connect(t, c)
	done := make(chan error, 1)
	go func() {
		_, err := busy.Exec(context.Background(), "SELECT count(*) FROM generate_series(1, 1000000000000)")
		done <- err
	}()
	require.Eventually(t, func() bool {
		return query(t, c, "SELECT count(*)::text FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1000000000000%'") != "0"
	}, soon, tick)
	children := childProcesses(c.PID())
	pid := c.PID()
	require.NoError(t, c.Kill())
	require.Error(t, <-done)
	require.Zero(t, c.PID())
	for _, pid := range append(children, pid) {
		require.Eventually(t, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH }, soon, tick)
	}
	require.NoError(t, c.Kill(), "again")
	require.NoError(t, c.Resume(t.Context()))
	require.Equal(t, "10", query(t, c, "SELECT count(*)::text FROM t"))
	require.Contains(t, c.LogTail(), "automatic recovery in progress")
}

func TestServerThatEndsByItself(t *testing.T) {
	c := start(t, Options{})
	require.NoError(t, syscall.Kill(c.PID(), syscall.SIGKILL))
	require.Eventually(t, func() bool { return c.PID() == 0 }, soon, tick)
	require.NoError(t, c.Stop(t.Context(), Fast))
	require.NoError(t, c.Resume(t.Context()))
	require.Equal(t, "1", query(t, c, "SELECT '1'"))
}

func TestStopEndsWithItsContext(t *testing.T) {
	c := start(t, Options{})
	session := connect(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.Stop(ctx, Smart), context.DeadlineExceeded, "a session is open")
	require.NotZero(t, c.PID())
	require.NoError(t, session.Close(t.Context()))
	require.NoError(t, c.Stop(t.Context(), Smart), "it went on stopping")
}
