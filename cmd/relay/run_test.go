package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

var (
	packageFolder, _ = os.Getwd() // Tests go elsewhere.
	binaryPath       = filepath.Join(os.TempDir(), "relay-test-"+strconv.Itoa(os.Getpid()))
)

// binary builds the program on first use: signals and exit codes are those of a process.
var binary = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("go", "build", "-o", binaryPath, ".")
	cmd.Dir = packageFolder
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return binaryPath, nil
})

// process is the program at work.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   buffer
	ended chan struct{}
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts the program; it is killed after the test, where it still runs.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	p := &process{t: t, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // The exit code tells.
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // It may have ended.
		<-p.ended
		if t.Failed() {
			t.Logf("relay %q:\n%s", args, p.log.String())
		}
	})
	return p
}

// signal sends a signal.
func (p *process) signal(s os.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// exitCode waits for the end.
func (p *process) exitCode() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.Fail(p.t, "it does not end")
		return -1
	}
}

// listensOn waits until the program says where it serves HTTP.
func (p *process) listensOn() string {
	p.t.Helper()
	var at []string
	require.Eventually(p.t, func() bool {
		at = regexp.MustCompile(`msg=listening address=(\S+)`).FindStringSubmatch(p.log.String())
		return at != nil
	}, patience, poll)
	return "http://" + at[1]
}

// get returns what a path answers; 0 and the error where it does not.
func get(url string) (int, string) {
	r, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(body)
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	require.Eventually(t, func() bool { code, _ := get(url + "/readyz"); return code == http.StatusOK }, patience, poll)
}

func TestRun(t *testing.T) {
	db, r := on(t, pgtest.URL(t)), receiver.New(t, nil)
	t.Setenv("RELAY_HTTP_LISTEN", "127.0.0.1:0")
	p := start(t, "run")
	url := p.listensOn()
	awaitReady(t, url)

	did(t, "subscriptions", "add", "--name", "crm", "--tenant", "a-tenant", "--url", r.URL()+"/a-path", "--event-types", "*")
	pgtest.Execute(t, db, "SELECT outbox.emit('user.invited', '{}', 'a-user', 'a-tenant')")
	r.WaitFor(1)
	require.Eventually(t, func() bool { return strings.Contains(do("log", "--user", "a-user").out, "accepted") }, patience, poll)
	require.Equal(t, exitDone, do("init").code, "beside a running relay")
	require.Contains(t, did(t, "init"), "are in use by a running relay\n")
	require.Contains(t, did(t, "check"), "is read by a relay")

	code, text := get(url + "/healthz")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", text)
	_, text = get(url + "/readyz")
	require.Equal(t, "relaying\n", text)
	requireMetrics(t, url+"/metrics", "a-tenant", "a-user", "a-path", r.Address(), "crm", "whsec_")

	p.signal(syscall.SIGTERM)
	require.Equal(t, exitDone, p.exitCode())
	require.Contains(t, p.log.String(), "msg=stopped\n")
	require.NotContains(t, p.log.String(), "level=ERROR")
	require.NotContains(t, p.log.String(), "level=WARN")
}

// requireMetrics expects exposition text with nothing private in any label.
func requireMetrics(t *testing.T, url string, private ...string) {
	t.Helper()
	r, err := http.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r.Body)
	require.NoError(t, err)
	for _, name := range []string{"relay_leader", "relay_build_info", "relay_deliveries_total", "relay_attempt_duration_seconds", "go_goroutines"} {
		require.Contains(t, families, name)
	}
	for name, family := range families {
		require.NotEmpty(t, family.GetHelp(), name)
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				require.NotContains(t, []string{"url", "host", "user", "user_id", "tenant", "subscription"}, label.GetName(), name)
				for _, text := range private {
					require.NotContains(t, label.GetValue(), text, "%s{%s}", name, label.GetName())
				}
			}
		}
	}
}

func TestRunStandsBy(t *testing.T) {
	on(t, pgtest.URL(t))
	t.Setenv("RELAY_HTTP_LISTEN", "127.0.0.1:0")
	first := start(t, "run")
	awaitReady(t, first.listensOn())
	second := start(t, "run")
	url := second.listensOn()
	awaitReady(t, url)
	_, text := get(url + "/readyz")
	require.Equal(t, "standing by: another relay has the slot\n", text)

	first.signal(syscall.SIGINT)
	require.Equal(t, exitDone, first.exitCode())
	require.Eventually(t, func() bool { _, text := get(url + "/readyz"); return text == "relaying\n" }, patience, poll)
	second.signal(syscall.SIGTERM)
	require.Equal(t, exitDone, second.exitCode())
}

// The first signal waits for what is in flight; the second does not.
func TestRunEndsAtOnceAtASecondSignal(t *testing.T) {
	db, r := on(t, pgtest.URL(t)), receiver.New(t, nil)
	did(t, "init")
	did(t, "subscriptions", "add", "--url", r.URL(), "--event-types", "*")
	r.Hang()
	t.Setenv("RELAY_HTTP_LISTEN", "")
	t.Setenv("RELAY_DELIVERY_TIMEOUT", "50m")
	p := start(t, "run")
	pgtest.Execute(t, db, "SELECT outbox.emit('user.invited', '{}')")
	r.WaitFor(1)
	require.NotContains(t, p.log.String(), "listening", "http.listen is empty")

	p.signal(syscall.SIGTERM)
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "stopping: what is in flight ends") }, patience, poll)
	select {
	case <-p.ended:
		require.Fail(t, "it did not wait for what is in flight")
	default:
	}
	require.Eventually(t, func() bool { // Not too soon after the first.
		_ = p.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	}, patience, poll)
	require.Equal(t, exitFailed, p.exitCode())
	require.Contains(t, p.log.String(), "relay: ended at once by a second signal\n")
}

// timeout(1) sends its signal twice, and so do others: that is one signal to stop in order.
func TestRunTakesTwoSignalsAtOnceForOne(t *testing.T) {
	db, r := on(t, pgtest.URL(t)), receiver.New(t, nil)
	did(t, "init")
	did(t, "subscriptions", "add", "--url", r.URL(), "--event-types", "*")
	r.Hang()
	t.Setenv("RELAY_HTTP_LISTEN", "")
	p := start(t, "run")
	pgtest.Execute(t, db, "SELECT outbox.emit('user.invited', '{}')")
	r.WaitFor(1)
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGINT)
	require.Eventually(t, func() bool { return strings.Contains(p.log.String(), "stopping: what is in flight ends") }, patience, poll)
	r.Release()
	require.Equal(t, exitDone, p.exitCode())
	require.Equal(t, 1, pgtest.Value[int](t, db, "SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'"))
}

func TestRunWhereTheAddressIsInUse(t *testing.T) {
	on(t, pgtest.URL(t))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	t.Setenv("RELAY_HTTP_LISTEN", taken.Addr().String())
	require.Equal(t, "relay: http.listen: "+taken.Addr().String()+" is in use; choose another address, or \"\" for none\n",
		refused(t, exitFailed, "run"))
}

func TestRunWaitsForTheDatabase(t *testing.T) {
	on(t, pgtest.URL(t))
	t.Setenv("RELAY_DATABASE_URL", "postgres://u:s3cr3t@127.0.0.1:1/app")
	t.Setenv("RELAY_HTTP_LISTEN", "127.0.0.1:0")
	p := start(t, "run")
	url := p.listensOn()
	require.Eventually(t, func() bool { _, text := get(url + "/readyz"); return strings.Contains(text, "connection refused") }, patience, poll)
	code, text := get(url + "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, "start the server, or correct host and port in database.url\n")
	code, _ = get(url + "/healthz")
	require.Equal(t, http.StatusOK, code)
	p.signal(syscall.SIGTERM)
	require.Equal(t, exitDone, p.exitCode())
	require.NotContains(t, p.log.String(), "s3cr3t")
}

func TestRunSaysWhatWaitingDoesNotMend(t *testing.T) {
	superuser := pgtest.URL(t)
	db := on(t, superuser)
	role := pgtest.Role(t, superuser, "GRANT CREATE ON DATABASE "+pgtest.Value[string](t, db, "SELECT current_database()")+" TO %s")
	t.Setenv("RELAY_DATABASE_URL", role)
	t.Setenv("RELAY_HTTP_LISTEN", "")
	var last string
	for line := range strings.Lines(do("run").err) {
		last = line
	}
	require.Regexp(t, "^relay: open a replication connection: role \\S+ may not replicate: .*; `ALTER ROLE \"\\S+\" REPLICATION` ", last)
	require.Equal(t, exitFailed, do("run").code)
}

func TestLogFlags(t *testing.T) {
	var out bytes.Buffer
	log, err := logFlags{format: "json", level: "WARN"}.logger(&out)
	require.NoError(t, err)
	log.Info("not this")
	log.Warn("this", "key", "value")
	lines := jsonLines[map[string]any](t, out.String())
	require.Len(t, lines, 1)
	require.Equal(t, "this", lines[0]["msg"])
}
