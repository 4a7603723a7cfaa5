// Package pgtest gives tests databases on a real Postgres.
//
// The tests of a package share one cluster, started when the first of them asks for it; each has a database of its own on
// it. No test is skipped for want of Postgres: it fails, and says what to install. A package that uses this one has
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/outboxrelay/relay/internal/postgres"
)

// startTimeout allows for a download of the server on its first use.
const startTimeout = 5 * time.Minute

// shared is the cluster of this test binary.
var shared struct {
	once    sync.Once
	cluster *postgres.Cluster
	err     error
}

// Main runs the tests, removes the shared cluster and ends the process with their exit code.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for those that have more to clean up: it returns the exit code.
func Run(m *testing.M) int { return run(m, false) }

// MainLeak is Main; where the tests passed, goroutines that they left behind are a failure.
func MainLeak(m *testing.M) { os.Exit(run(m, true)) }

func run(m *testing.M, findLeaks bool) int {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = max(code, 1)
		}
	}
	if code == 0 && findLeaks {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = 1
		}
	}
	return code
}

// Cluster returns the cluster that all tests of this binary share: none may stop it or change its settings. It is fast and
// does not flush to disk.
func Cluster(t testing.TB) *postgres.Cluster {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		shared.cluster, shared.err = postgres.Start(ctx, postgres.Options{FsyncOff: true})
	})
	if shared.err != nil {
		t.Fatalf("this test needs PostgreSQL, and none could be started: %v", shared.err)
	}
	return shared.cluster
}

// Private returns a cluster of the test's own, to stop and break. It is removed after the test; of a test that failed,
// the end of the server's log is shown.
func Private(t testing.TB, o postgres.Options) *postgres.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cluster, err := postgres.Start(ctx, o)
	if err != nil {
		t.Fatalf("this test needs PostgreSQL, and none could be started: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the log of Postgres:\n%s", cluster.LogTail())
		}
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}
