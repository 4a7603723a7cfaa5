//go:build unix

package postgres

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSetAndReload(t *testing.T) {
	c := start(t, Options{})
	value := `it's a \ and a 'quote'`
	require.NoError(t, c.Set(t.Context(), map[string]string{"work_mem": "3MB", "my.words": value, "max_connections": "50"}))
	require.NoError(t, c.Reload(t.Context()))
	require.Equal(t, "3MB", query(t, c, "SHOW work_mem"))
	require.Equal(t, value, query(t, c, "SHOW my.words"))
	require.Equal(t, "300", query(t, c, "SHOW max_connections"), "needs a new start")

	require.NoError(t, c.Stop(t.Context(), Fast))
	require.NoError(t, c.Set(t.Context(), map[string]string{"work_mem": "5MB"}))
	require.NoError(t, c.Resume(t.Context()))
	require.Equal(t, "5MB", query(t, c, "SHOW work_mem"))
	require.Equal(t, value, query(t, c, "SHOW my.words"), "what was set before stays")
	require.Equal(t, "50", query(t, c, "SHOW max_connections"))
}

func TestSettingsThatTheServerRejects(t *testing.T) {
	c := start(t, Options{})
	require.ErrorContains(t, c.Set(t.Context(), map[string]string{"a\nb": "1"}), `"a\nb" is not the name of a setting`)
	require.NoError(t, c.Reload(t.Context()), "it was not written down")

	require.NoError(t, c.Set(t.Context(), map[string]string{"work_mem": "much"}))
	require.ErrorContains(t, c.Reload(t.Context()), "work_mem")
	require.NoError(t, c.Set(t.Context(), map[string]string{"work_mem": "6MB"}))
	require.NoError(t, c.Reload(t.Context()))
	require.Equal(t, "6MB", query(t, c, "SHOW work_mem"))
}

func TestCPUTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		_, err := new(Cluster).CPUTime()
		require.ErrorContains(t, err, "on Linux only")
		return
	}
	c := start(t, Options{})
	last := time.Duration(0)
	read := func() time.Duration {
		now, err := c.CPUTime()
		require.NoError(t, err)
		require.GreaterOrEqual(t, now, last, "it only grows")
		grown := now - last
		last = now
		return grown
	}
	require.Positive(t, read(), "the start took some")

	live := connect(t, c)
	_, err := live.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 1000000)")
	require.NoError(t, err)
	require.Greater(t, read(), 20*time.Millisecond, "of a child that lives")

	execute(t, c, "SELECT count(*) FROM generate_series(1, 1000000)")
	require.Greater(t, read(), 20*time.Millisecond, "of a child that has ended")

	require.NoError(t, c.Stop(t.Context(), Fast))
	read()
	require.NoError(t, c.Resume(t.Context()))
	require.Positive(t, read(), "of both runs")
}
