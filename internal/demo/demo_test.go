//go:build unix

package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/httpserver"
	"github.com/outboxrelay/relay/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runRelay is relay run in this process.
func runRelay(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	engine, err := relay.New(cfg, relay.Options{Logger: log})
	if err != nil {
		return err
	}
	listener, err := httpserver.Listen(ctx, cfg.HTTP.Listen)
	if err != nil {
		return err
	}
	server := httpserver.New(httpserver.Options{Ready: engine.Ready, Metrics: prometheus.NewRegistry()})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { return engine.Run(ctx) })
	return group.Wait()
}

// temporary has all temporary files of this test made in a folder of its own, which every account may enter.
func temporary(t *testing.T) string {
	dir, err := os.MkdirTemp("", "demo")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Setenv("TMPDIR", dir)
	return dir
}

// requireNothingLeft fails the test if there are files in dir, or processes that work there.
func requireNothingLeft(t *testing.T, dir string) {
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Empty(t, processesOf(t, dir))
}

// processesOf returns the command lines of the processes that name dir.
func processesOf(t *testing.T, dir string) []string {
	out, err := exec.Command("ps", "-e", "-o", "args").Output()
	require.NoError(t, err)
	var found []string
	for args := range strings.Lines(string(out)) {
		if strings.Contains(args, dir) {
			found = append(found, args)
		}
	}
	return found
}

func TestDemoOnPipeEndsWithTheProof(t *testing.T) {
	dir := temporary(t)
	var out bytes.Buffer
	d := New(Options{Out: &out, Lasting: 5 * time.Second, Rate: 50, Relay: runRelay})
	require.NoError(t, d.Run(t.Context()), &out)

	shown := out.String()
	require.NotContains(t, shown, "\x1b")
	require.NotContains(t, shown, "✗")
	require.Regexp(t, `(?m)^console http://127\.0\.0\.1:\d+\npsql postgres://\S+/demo\S*$`, shown)
	require.Equal(t, 1, strings.Count(shown, "console http://"), "once")
	require.Contains(t, shown, "\n  ✓ committed = received ")
	require.Contains(t, shown, "\n  ✓ rolled back = never seen ")
	require.Contains(t, shown, "FROM outbox.delivery_log")
	// The first user signed up while the mailer was down: that took more than one attempt.
	require.Regexp(t, `(?m)^ +user\.signed_up +http://\S+/mailer +accepted +[2-9] +200$`, shown)
	require.Regexp(t, `(?m)^ +user\.signed_up +http://\S+/audit +rejected +1 +500$`, shown)
	require.Regexp(t, `(?m)^ +user\.confirmed +http://\S+/crm +accepted +1 +200$`, shown)
	require.True(t, strings.HasSuffix(shown, "nothing is left behind.\n"), shown)
	requireNothingLeft(t, dir)
}

func TestDemoFailsWithTheRelay(t *testing.T) {
	dir := temporary(t)
	broken := errors.New("out of order")
	err := New(Options{Out: io.Discard, Lasting: time.Minute, Rate: 20,
		Relay: func(context.Context, *config.Config, *slog.Logger) error { return broken }}).Run(t.Context())
	require.ErrorIs(t, err, broken)
	requireNothingLeft(t, dir)
}

func TestDemoIsNotProvenWithoutDeliveries(t *testing.T) {
	s := testStage(t)
	s.host = &host{}
	var out bytes.Buffer
	require.ErrorIs(t, New(Options{Out: &out}).conclude(t.Context(), s), ErrNotProven)
	require.Contains(t, out.String(), "✗ committed = received")
}

// program is `relay demo` in a process of its own, and what it has shown so far.
type program struct {
	cmd   *exec.Cmd
	mu    sync.Mutex
	shown bytes.Buffer
	ended chan struct{}
}

// startProgram builds and starts it, and returns it once deliveries are made, with the folder of its temporary files.
func startProgram(t *testing.T) (p *program, dir string) {
	binary := filepath.Join(t.TempDir(), "relay")
	built, err := exec.Command("go", "build", "-o", binary, "github.com/outboxrelay/relay/cmd/relay").CombinedOutput()
	require.NoError(t, err, string(built))

	dir = temporary(t)
	p = &program{cmd: exec.Command(binary, "demo", "--for", "10m"), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the exit code says what there is to say
		close(p.ended)
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	delivered := regexp.MustCompile(`crm \(answers 200\) \d+ accepted`)
	require.Eventually(t, func() bool { return delivered.MatchString(p.String()) }, time.Minute, 20*time.Millisecond, p)
	return p, dir
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.Write(b)
}

func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.String()
}

// wait returns the exit code.
func (p *program) wait(t *testing.T) int {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		t.Fatalf("it goes on:\n%s", p)
		return 0
	}
}

func TestInterruptBringsTheProof(t *testing.T) {
	p, dir := startProgram(t)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, p.wait(t), p)
	require.Contains(t, p.String(), "✓ committed = received")
	require.Contains(t, p.String(), "nothing is left behind.\n")
	requireNothingLeft(t, dir)
}

func TestSecondInterruptEndsAtOnce(t *testing.T) {
	p, dir := startProgram(t) // the mailer is down: there are retries to wait for
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
	done := make(chan struct{})
	go func() { // One that comes too soon counts as the first.
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}()
	require.Equal(t, 1, p.wait(t), p)
	close(done)
	require.NotContains(t, p.String(), "committed = received")
	requireNothingLeft(t, dir)
}
