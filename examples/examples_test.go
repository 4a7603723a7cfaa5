// Package examples_test runs the example programs as their comments say.
package examples_test

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// programs builds the examples and returns a function that prepares to run one of them.
func programs(t *testing.T, url string) func(name string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./...").CombinedOutput()
	require.NoError(t, err, string(out))
	return func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, name), args...)
		cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
		return cmd
	}
}

func TestHostApps(t *testing.T) {
	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	program := programs(t, url)
	_, err := pool.Exec(t.Context(), `CREATE TABLE invitations (user_id text, email text UNIQUE)`)
	require.NoError(t, err)

	for _, app := range []string{"invite", "invite-sql"} {
		email := app + "@example.com"
		out, err := program(app, "42", email).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "invited "+email+"\n", string(out))

		out, err = program(app, "42", email).CombinedOutput()
		require.Error(t, err, "invited before")
		require.Contains(t, string(out), "invitations_email_key")
	}
	require.Equal(t, []string{
		`user.invited 42 {"email":"invite@example.com"}`,
		`user.invited 42 {"email":"invite-sql@example.com"}`,
	}, list(t, pool, `SELECT type || ' ' || user_id || ' ' || payload FROM outbox.events ORDER BY created_at`),
		"an invitation that fails leaves no event")

	_, err = pool.Exec(t.Context(), `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, finished_at, attempts,
		  response_code, error_class, status, event_type, tenant, user_id, url)
		VALUES
		  (outbox.uuid7(), outbox.uuid7(), outbox.uuid7(), '2026-03-04 05:06:07Z', NULL, now(), 1, 200, NULL, 'accepted',
		   'user.invited', 'default', '42', 'https://crm.example.com'),
		  (outbox.uuid7(), outbox.uuid7(), outbox.uuid7(), '2026-03-04 05:06:08Z', now(), NULL, 3, NULL, 'timeout', 'retrying',
		   'user.removed', 'default', '42', 'https://crm.example.com'),
		  (outbox.uuid7(), outbox.uuid7(), outbox.uuid7(), '2026-03-04 05:06:09Z', now(), NULL, 0, NULL, NULL, 'pending',
		   'user.removed', 'default', '42', 'https://example.com')`)
	require.NoError(t, err)
	out, err := program("userlog", "42").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, strings.TrimLeft(`
2026-03-04 05:06:09  user.removed  https://example.com      pending   -
2026-03-04 05:06:08  user.removed  https://crm.example.com  retrying  timeout (3 attempts)
2026-03-04 05:06:07  user.invited  https://crm.example.com  accepted  200
`, "\n"), string(out))
}

func TestReceiver(t *testing.T) {
	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	var secret string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT outbox.new_secret()`).Scan(&secret))
	webhook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	address := startReceiver(t, programs(t, url)("receiver"), secret)

	post := func(id, body, signed string) int {
		now := time.Now()
		signature, err := webhook.Sign(id, now, []byte(signed))
		require.NoError(t, err)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("webhook-id", id)
		request.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		request.Header.Set("webhook-signature", signature)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	first, second := uuid.NewString(), uuid.NewString()
	require.Equal(t, 200, post(first, `{"n": 1}`, `{"n": 1}`))
	require.Equal(t, 200, post(first, `{"n": 1}`, `{"n": 1}`), "the same once more")
	require.Equal(t, 200, post(second, `{"n": 2}`, `{"n": 2}`))
	require.Equal(t, 401, post(uuid.NewString(), `{"n": 3}`, `{"n": 4}`), "not what was signed")
	huge := `"` + strings.Repeat("x", 1<<20) + `"`
	require.Equal(t, 413, post(uuid.NewString(), huge, huge))
	require.Equal(t, []string{first + ` {"n": 1}`, second + ` {"n": 2}`},
		list(t, pool, `SELECT id || ' ' || body FROM received_events ORDER BY received_at`))
}

// startReceiver starts it on a free port, stops it at the end of the test, and returns its address.
func startReceiver(t *testing.T, cmd *exec.Cmd, secret string) string {
	t.Helper()
	cmd.Env = append(cmd.Env, "WEBHOOK_SECRET="+secret, "LISTEN=127.0.0.1:0")
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(log).ReadString('\n')
	require.NoError(t, err)
	_, address, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	require.True(t, found, line)
	return address
}

func list(t *testing.T, pool *pgxpool.Pool, query string) []string {
	t.Helper()
	rows, err := pool.Query(context.Background(), query)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}
