// Package e2e tests the program from outside: the real binary, a real Postgres, receivers on real sockets, and journals
// of what was committed and what arrived.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// patience is how long a condition may take to come true on a busy machine.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	if path, err := build(); err == nil {
		_ = os.Remove(path)
	}
	os.Exit(code)
}

// build builds the program on first use, for all tests.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.TempDir(), "relay-e2e-"+strconv.Itoa(os.Getpid()))
	out, err := exec.Command("go", "build", "-o", path, "github.com/outboxrelay/relay/cmd/relay").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// instance is a running `relay run`.
type instance struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    *lockedBuffer
	listen string
	ended  chan struct{}
	err    error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// launch starts the program without waiting for it. Settings are environment variables, such as RELAY_RETENTION=1h.
func launch(t *testing.T, url, slot string, settings ...string) *instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listen := l.Addr().String()
	require.NoError(t, l.Close())

	i := &instance{t: t, log: &lockedBuffer{}, listen: listen, ended: make(chan struct{})}
	binary, err := build()
	require.NoError(t, err)
	i.cmd = exec.Command(binary, "run")
	i.cmd.Dir = t.TempDir()
	i.cmd.Env = append(os.Environ(), append([]string{
		"RELAY_DATABASE_URL=" + url, "RELAY_REPLICATION_SLOT=" + slot, "RELAY_REPLICATION_PUBLICATION=" + slot,
		"RELAY_HTTP_LISTEN=" + listen, "RELAY_NETWORK_ALLOW=127.0.0.0/8,::1/128",
	}, settings...)...)
	i.cmd.Stderr, i.cmd.Stdout = i.log, i.log
	require.NoError(t, i.cmd.Start())
	go func() { i.err = i.cmd.Wait(); close(i.ended) }()
	t.Cleanup(func() {
		i.kill()
		if t.Failed() {
			t.Logf("log of process %d:\n%s", i.cmd.Process.Pid, i.log)
		}
	})
	return i
}

// start starts the program and waits until it is ready.
func start(t *testing.T, url, slot string, settings ...string) *instance {
	t.Helper()
	i := launch(t, url, slot, settings...)
	i.awaitReady()
	return i
}

func (i *instance) ready() bool {
	response, err := http.Get("http://" + i.listen + "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (i *instance) awaitReady() {
	i.t.Helper()
	await(i.t, "ready", i.ready)
}

// stop ends the program as an operator does and expects a clean end.
func (i *instance) stop() {
	i.t.Helper()
	require.NoError(i.t, i.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-i.ended:
		require.NoError(i.t, i.err, "exit code after SIGTERM")
	case <-time.After(patience):
		require.Fail(i.t, "did not end after SIGTERM")
	}
}

// kill ends the program as nobody should.
func (i *instance) kill() {
	_ = i.cmd.Process.Kill() // It may have ended.
	<-i.ended
}

// peakMemoryBytes is the high-water mark of the resident set.
func (i *instance) peakMemoryBytes() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", i.cmd.Process.Pid))
	require.NoError(i.t, err)
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			require.NoError(i.t, err)
			return kib << 10
		}
	}
	require.Fail(i.t, "no VmHWM")
	return 0
}

// await waits until a condition is true.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			require.Fail(t, "waited in vain", "%s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// subscribe adds a subscription to a receiver and returns its id.
func subscribe(t *testing.T, db *pgxpool.Pool, r *receiver.Receiver, eventTypes ...string) string {
	t.Helper()
	var id string
	err := db.QueryRow(context.Background(), `INSERT INTO outbox.subscriptions (url, event_types) VALUES ($1, $2) RETURNING id::text`,
		r.URL(), eventTypes).Scan(&id)
	require.NoError(t, err)
	return id
}

// emit commits one event of a type and returns its id.
func emit(t *testing.T, db *pgxpool.Pool, eventType string) string {
	t.Helper()
	var id string
	require.NoError(t, db.QueryRow(context.Background(), `SELECT outbox.emit($1, '{"n": 1}', 'u1')::text`, eventType).Scan(&id))
	return id
}

// writer is a host app that inserts events from several connections, some in transactions that it rolls back, and keeps a
// journal of which were committed.
type writer struct {
	url    string
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu         sync.Mutex
	committed  []string
	rolledBack []string
	unknown    []string // The commit's answer was lost with the connection.
}

// write begins to write about so many events a second until end.
func write(url string, perSecond int) *writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &writer{url: url, cancel: cancel}
	const connections = 4
	for n := range connections {
		w.done.Go(func() { w.run(ctx, n, time.Second*connections/time.Duration(perSecond)) })
	}
	return w
}

func (w *writer) run(ctx context.Context, n int, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var conn *pgx.Conn
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			if conn != nil {
				_ = conn.Close(context.Background())
			}
			return
		case <-tick.C:
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(context.Background(), w.url); err != nil {
				conn = nil
				continue // Postgres is down for now.
			}
		}
		w.transaction(conn, i%10 == n)
	}
}

func (w *writer) transaction(conn *pgx.Conn, rollBack bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return
	}
	var id string
	if err := tx.QueryRow(ctx, `SELECT outbox.emit('user.created', '{"a": 1}', 'u1')::text`).Scan(&id); err != nil {
		_ = tx.Rollback(ctx)
		return
	}
	if rollBack {
		_ = tx.Rollback(ctx)
		w.note(&w.rolledBack, id)
	} else if err := tx.Commit(ctx); err != nil {
		w.note(&w.unknown, id)
	} else {
		w.note(&w.committed, id)
	}
}

func (w *writer) note(journal *[]string, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*journal = append(*journal, id)
}

// end stops writing and settles what was unknown by looking.
func (w *writer) end(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	w.cancel()
	w.done.Wait()
	for _, id := range w.unknown {
		if pgtest.Value[bool](t, db, `SELECT EXISTS (SELECT FROM outbox.events WHERE id = $1::uuid)`, id) {
			w.committed = append(w.committed, id)
		} else {
			w.rolledBack = append(w.rolledBack, id)
		}
	}
}

// account waits until all that was committed has arrived and is recorded, and returns how many arrived more than once.
func (w *writer) account(t *testing.T, db *pgxpool.Pool, r *receiver.Receiver) (twice int) {
	t.Helper()
	require.NotEmpty(t, w.committed)
	seen := make(map[string]int)
	missing := func() int {
		clear(seen)
		for _, request := range r.Requests() {
			seen[request.ID]++
		}
		n := 0
		for _, id := range w.committed {
			if seen[id] == 0 {
				n++
			}
		}
		return n
	}
	deadline := time.Now().Add(patience)
	for missing() > 0 {
		if time.Now().After(deadline) {
			require.Zero(t, missing(), "lost, of %d committed", len(w.committed))
		}
		time.Sleep(100 * time.Millisecond)
	}
	await(t, "all recorded as accepted", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) >= len(w.committed)
	})
	for _, id := range w.rolledBack {
		require.Zero(t, seen[id], "phantom: %s was rolled back", id)
	}
	require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries AS d
		WHERE attempts <> (SELECT count(*) FROM outbox.attempts AS a WHERE a.delivery_id = d.id)`), "attempts that do not add up")
	for _, n := range seen {
		twice += n - 1
	}
	return twice
}

// script runs statements, with SLOT in place of the slot's name, one by one as an operator types them.
func script(t *testing.T, url, sql, slot string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	for statement := range strings.SplitSeq(strings.ReplaceAll(sql, "SLOT", slot), ";") {
		_, err := conn.Exec(context.Background(), statement)
		require.NoError(t, err)
	}
}

// replication runs one command on a replication connection.
func replication(t *testing.T, url, command string) {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), url+"&replication=database")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(context.Background(), command).ReadAll()
	require.NoError(t, err)
}

// command runs the program to its end and returns what it printed and its exit code.
func command(t *testing.T, environment []string, arg ...string) (output string, code int) {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	cmd := exec.Command(binary, arg...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
