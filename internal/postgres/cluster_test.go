//go:build unix

package postgres

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const (
	soon = 30 * time.Second // For what takes an instant on a machine that is not busy.
	tick = 10 * time.Millisecond
)

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		help(name)
		return
	}
	goleak.VerifyTestMain(m)
}

// start returns a cluster in a folder of its own, which must be empty again after the test.
func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = parent(t)
	}
	o.FsyncOff = true
	c, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// parent is a folder that the servers' account may enter, unlike that of t.TempDir. It must be empty after the test.
func parent(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.Remove(dir), "something was left behind") })
	return dir
}

// connect opens a session, which the test may cut; execute and query have their own and end it.
func connect(t *testing.T, c *Cluster) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, c *Cluster, sql string) {
	t.Helper()
	conn := connect(t, c)
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func query(t *testing.T, c *Cluster, sql string) string {
	t.Helper()
	conn := connect(t, c)
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	require.NoError(t, conn.Close(t.Context()))
	return value
}

func TestStart(t *testing.T) {
	c := start(t, Options{Settings: map[string]string{"max_connections": "40"}})
	for setting, want := range map[string]string{
		"wal_level": "logical", "max_wal_senders": "64", "max_replication_slots": "64", "listen_addresses": "127.0.0.1",
		"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on", "lc_collate": "C", "server_encoding": "UTF8",
		"max_connections": "40", "shared_buffers": "64MB", "port": strconv.Itoa(c.Port()), "data_directory": c.DataDir(),
	} {
		if setting == "lc_collate" { // No setting any more since 16.
			require.Equal(t, want, query(t, c, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"))
			continue
		}
		require.Equal(t, want, query(t, c, "SHOW "+setting), setting)
	}
	execute(t, c, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
	require.Equal(t, strconv.Itoa(c.PID()), strings.SplitN(readFile(t, filepath.Join(c.DataDir(), "postmaster.pid")), "\n", 2)[0])

	require.NoError(t, c.CreateDatabase(t.Context(), `an "odd" name`))
	require.Equal(t, "1", query(t, c, `SELECT count(*)::text FROM pg_database WHERE datname = 'an "odd" name'`))
	require.ErrorContains(t, c.CreateDatabase(t.Context(), "postgres"), "create database postgres: ")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestStartKeepsFsyncUnlessAsked(t *testing.T) {
	c, err := Start(t.Context(), Options{Dir: parent(t)})
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, "on", query(t, c, "SHOW fsync"))
	require.Equal(t, "on", query(t, c, "SHOW full_page_writes"))
	require.NoError(t, c.Close())
}

func TestSocket(t *testing.T) {
	c := start(t, Options{})
	conn, err := pgx.Connect(t.Context(), "host="+c.folder.sockets()+" user=postgres dbname=postgres port="+strconv.Itoa(c.Port()))
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

func TestFolderTooLongForASocket(t *testing.T) {
	dir := parent(t)
	long := filepath.Join(dir, strings.Repeat("x", maxSocketPath))
	require.NoError(t, os.Mkdir(long, 0o755))
	c := start(t, Options{Dir: long})
	require.Empty(t, query(t, c, "SHOW unix_socket_directories"))
	require.NoError(t, c.Close())
	require.NoError(t, os.Remove(long))
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	_, err := Start(t.Context(), Options{Dir: parent(t), Settings: map[string]string{"shared_buffers": "plenty"}})
	require.ErrorContains(t, err, `invalid value for parameter "shared_buffers": "plenty"`, "the error has the server's words")

	_, err = Start(t.Context(), Options{Dir: parent(t), Settings: map[string]string{"no good": "x"}})
	require.ErrorContains(t, err, `"no good" is not the name of a setting`)

	_, err = Start(t.Context(), Options{Dir: parent(t), BinDir: fakeServer(t, filepath.Join(reachable(t), "bin"), "17.0")})
	require.ErrorContains(t, err, "no such file or directory", "the programs do nothing")
}

// reachable is a folder for programs, removed after the test.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func TestStartThatIsCancelledLeavesNothing(t *testing.T) {
	dir := parent(t)
	for _, stage := range []string{"initdb", "server"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			for ctx.Err() == nil {
				made, _ := filepath.Glob(filepath.Join(dir, folderPrefix+"*", "data", map[string]string{
					"initdb": "PG_VERSION", "server": settingsName,
				}[stage]))
				if len(made) > 0 {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		_, err := Start(ctx, Options{Dir: dir})
		cancel()
		require.ErrorIs(t, err, context.Canceled, stage)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left, stage)
	}
}

func TestCloseRemovesEverything(t *testing.T) {
	for _, before := range []struct {
		name string
		do   func(*testing.T, *Cluster)
	}{
		{"running", func(*testing.T, *Cluster) {}},
		{"stopped", func(t *testing.T, c *Cluster) { require.NoError(t, c.Stop(t.Context(), Fast)) }},
		{"killed", func(t *testing.T, c *Cluster) { require.NoError(t, c.Kill()) }},
	} {
		t.Run(before.name, func(t *testing.T) {
			c := start(t, Options{})
			segment := segmentID(t, c)
			execute(t, c, "CREATE TABLE t AS SELECT generate_series(1, 1000)")
			before.do(t, c)
			require.NoError(t, c.Close())
			require.NoError(t, c.Close(), "again")
			require.Zero(t, c.PID())
			require.NoFileExists(t, c.folder.path)
			require.False(t, segmentExists(t, segment))
			require.Error(t, c.Resume(t.Context()))
		})
	}
}

func TestPortTakenWhileStopped(t *testing.T) {
	c := start(t, Options{})
	require.NoError(t, c.Stop(t.Context(), Fast))
	l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(c.Port()))
	require.NoError(t, err)
	require.ErrorIs(t, c.Resume(t.Context()), errPortTaken)
	require.NoError(t, l.Close())
	require.NoError(t, c.Resume(t.Context()))
}
