package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	for _, test := range []struct {
		output string
		want   version
	}{
		{"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", version{15, 18}},
		{"postgres (PostgreSQL) 14.0\n", version{14, 0}},
		{"postgres (PostgreSQL) 18beta1\n", version{18, 0}},
		{"postgres (PostgreSQL) 19devel\n", version{19, 0}},
	} {
		got, err := parseVersion(test.output)
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}
	_, err := parseVersion("command not found")
	require.ErrorContains(t, err, `"command not found"`)
}

func TestVersionOrder(t *testing.T) {
	ordered := []version{{9, 6}, {14, 0}, {14, 10}, {15, 2}, {15, 18}, {18, 0}}
	for i, v := range ordered {
		for j, w := range ordered {
			require.Equal(t, i < j, v.less(w), "%v < %v", v, w)
		}
	}
}

// fakeServer makes a folder of programs that know their version and nothing else.
func fakeServer(t *testing.T, dir, version string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range programs {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

// nowhere has Find look in empty places.
func nowhere(t *testing.T) {
	t.Helper()
	before := usualFolders
	t.Cleanup(func() { usualFolders = before })
	usualFolders = nil
	t.Setenv("PATH", t.TempDir())
	t.Setenv(binDirVariable, "")
}

func TestFindSaysWhenThereIsNone(t *testing.T) {
	nowhere(t)
	_, err := Find(t.Context())
	require.ErrorIs(t, err, ErrNotFound)
}

func TestFindTakesTheNewestOfTheUsualFolders(t *testing.T) {
	nowhere(t)
	root := t.TempDir()
	for _, version := range []string{"9.6", "14.11", "16.2", "16.10", "15.18"} {
		fakeServer(t, filepath.Join(root, version, "bin"), version)
	}
	require.NoError(t, os.Remove(filepath.Join(fakeServer(t, filepath.Join(root, "17", "bin"), "17.1"), "initdb")))
	usualFolders = []string{filepath.Join(root, "*", "bin")}
	dir, err := Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "16.10", "bin"), dir)
}

func TestFindFollowsLinksOnThePath(t *testing.T) {
	nowhere(t)
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	dir := fakeServer(t, filepath.Join(root, "lib", "bin"), "14.1")
	links := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(dir, "postgres"), filepath.Join(links, "postgres")))
	usualFolders = []string{fakeServer(t, filepath.Join(root, "newer"), "18.1")}
	t.Setenv("PATH", links)
	found, err := Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, dir, found, "the PATH comes before the usual folders")
}

func TestFindPassesOverAnOldServerOnThePath(t *testing.T) {
	nowhere(t)
	t.Setenv("PATH", fakeServer(t, t.TempDir(), "13.9"))
	usualFolders = []string{fakeServer(t, t.TempDir(), "14.0")}
	found, err := Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, usualFolders[0], found)
}

func TestFindTakesTheVariableAtItsWord(t *testing.T) {
	nowhere(t)
	t.Setenv("PATH", fakeServer(t, t.TempDir(), "18.0"))
	mine := fakeServer(t, t.TempDir(), "14.0")
	t.Setenv(binDirVariable, mine)
	found, err := Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, mine, found)

	for dir, fault := range map[string]string{
		fakeServer(t, t.TempDir(), "13.9"): "PostgreSQL 13 is too old: 14 or later is needed",
		t.TempDir():                        "find postgres: ",
	} {
		t.Setenv(binDirVariable, dir)
		_, err = FindOrFetch(t.Context(), nil)
		require.ErrorContains(t, err, "use RELAY_POSTGRES_BIN="+dir+": "+fault)
	}
}
