package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// PgBouncer starts a connection pooler before the server at address, in transaction mode with few connections, and
// returns the address of the same database through it. Settings are lines of its section [pgbouncer]. It ends with the test.
// Without the program on this machine the test fails, and says what to install.
func PgBouncer(t testing.TB, address string, settings ...string) string {
	t.Helper()
	program := findPgBouncer(t)
	server, err := url.Parse(address)
	require.NoError(t, err)
	listen := freeAddress(t)
	dir := t.TempDir()
	config, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users.txt")
	require.NoError(t, os.WriteFile(config, pgBouncerConfig(server, listen, users, settings), 0o644))
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q \"\"\n", server.User.Username()), 0o644))

	var arg []string
	if os.Geteuid() == 0 { // As whom it refuses to run.
		arg = append(arg, "-u", unprivileged(t))
		require.NoError(t, os.Chmod(dir, 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	}
	cmd := exec.Command(program, append(arg, config)...)
	var log logBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // It was killed.
		if t.Failed() {
			t.Logf("the log of pgbouncer:\n%s", log.String())
		}
	})
	server.Host = listen
	awaitPgBouncer(t, server.String(), &log)
	return server.String()
}

// logBuffer takes what the program logs while the test may read it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// pgBouncerConfig gives every database of the server, through so few connections that each serves several clients.
func pgBouncerConfig(server *url.URL, listen, users string, settings []string) []byte {
	host, port, _ := net.SplitHostPort(listen)
	return fmt.Appendf(nil, `[databases]
* = host=%s port=%s

[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
%s
`, server.Hostname(), server.Port(), host, port, users, strings.Join(settings, "\n"))
}

func findPgBouncer(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("this test needs pgbouncer: install it (apt install pgbouncer, dnf install pgbouncer, brew install pgbouncer)")
	return ""
}

func unprivileged(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		if _, err := user.Lookup(name); err == nil {
			return name
		}
	}
	t.Fatal("no user to run pgbouncer as: it refuses root, and there is no user postgres or nobody")
	return ""
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func awaitPgBouncer(t testing.TB, address string, log *logBuffer) {
	t.Helper()
	deadline := time.Now().Add(databaseTimeout)
	for {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		conn, err := pgx.Connect(ctx, address)
		if err == nil {
			err = conn.Close(ctx)
		}
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("pgbouncer does not answer: %v\n%s", err, strings.TrimSpace(log.String()))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
