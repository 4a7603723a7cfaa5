//go:build pgbouncer

package check_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
)

// The same as with the stand-in, with the real thing, which shares connections between transactions: go test -tags
// pgbouncer. It needs pgbouncer (Debian: apt-get install pgbouncer; Homebrew: brew install pgbouncer).
func TestPgBouncerInTheWay(t *testing.T) {
	direct := pgtest.URL(t)
	for _, ignored := range []string{"", "replication, extra_float_digits"} {
		t.Run("ignore_startup_parameters="+ignored, func(t *testing.T) {
			cfg := settings(t, startPgBouncer(t, direct, ignored))
			cfg.Network.Allow = []string{"127.0.0.0/8"}
			i := requireItem(t, look(t, cfg), check.Fault, "replication connection", "a connection pooler is in the way")
			require.Equal(t, "set database.replication_url to the server itself", i.Mend.String())
			requireRefused(t, cfg, "a connection pooler is in the way: set database.replication_url to the server itself")
			cfg.Database.ReplicationURL = direct
			requireMended(t, cfg, "replication connection", append(fresh, "slot", "schema")...)
			setUp(t, cfg)
			requireMended(t, cfg, "replication connection", "subscriptions")

			// And events go out with all queries sent through it.
			arrived := make(chan struct{}, 1)
			receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} }))
			defer receiver.Close()
			execute(t, direct, `INSERT INTO outbox.subscriptions (url, event_types) VALUES ('`+receiver.URL+`', '{*}')`)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, ended := newRelay(t, cfg), make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			require.Eventually(t, func() bool { ready, _ := r.Ready(); return ready }, patience, poll)
			execute(t, direct, "SELECT outbox.emit('user.invited', '{}')")
			<-arrived
			cancel()
			require.NoError(t, <-ended)
			db := pgtest.Pool(t, direct)
			var status string
			require.NoError(t, db.QueryRow(t.Context(), "SELECT status FROM outbox.deliveries ORDER BY event_created_at DESC LIMIT 1").Scan(&status))
			require.Equal(t, "accepted", status)
			execute(t, direct, "DELETE FROM outbox.subscriptions")
		})
	}
}

// startPgBouncer starts one before a server and returns the address of the same database through it.
func startPgBouncer(t *testing.T, server, ignored string) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path = "/usr/sbin/pgbouncer" // Where Debian has it, off the PATH of most.
		_, err = os.Stat(path)
	}
	require.NoError(t, err, "this test needs pgbouncer: apt-get install pgbouncer, or brew install pgbouncer")

	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	u, err := url.Parse(server)
	require.NoError(t, err)
	folder := t.TempDir()
	ini, users := filepath.Join(folder, "pgbouncer.ini"), filepath.Join(folder, "users.txt")
	require.NoError(t, os.WriteFile(users, []byte(`"postgres" ""`), 0o644))
	require.NoError(t, os.WriteFile(ini, []byte(fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
ignore_startup_parameters = %s
`, u.Port(), port, users, ignored)), 0o644))
	// The temporary folders of tests are for their own user alone; as root, pgbouncer becomes another.
	for dir := folder; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}

	args := []string{ini}
	if os.Getuid() == 0 {
		args = []string{"-u", "nobody", ini}
	}
	var log bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("pgbouncer:\n%.4000s", log.String())
		}
	})
	address := at(t, server, func(u *url.URL) {
		u.Host = fmt.Sprintf("127.0.0.1:%d", port)
		u.User = url.User("postgres")
	})
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), address)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err == nil
	}, patience, poll)
	return address
}
