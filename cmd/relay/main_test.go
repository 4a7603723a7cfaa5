package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestMain(m *testing.M) {
	// What is set where the tests run is none of theirs.
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "RELAY_") && name != "RELAY_POSTGRES_BIN" {
			_ = os.Unsetenv(name)
		}
	}
	code := pgtest.Run(m)
	_ = os.Remove(binaryPath) // If it was built.
	os.Exit(code)
}

const (
	// patience is how long a condition may take to come true on a busy machine.
	patience = 60 * time.Second
	poll     = 10 * time.Millisecond
)

// said is what a command line came to.
type said struct {
	code     int
	out, err string
}

// do runs a command line on the real command tree.
func do(args ...string) said {
	var out, err bytes.Buffer
	code := execute(args, &out, &err)
	return said{code, out.String(), err.String()}
}

// did runs a command line that must work, and returns what it printed. It may warn.
func did(t *testing.T, args ...string) string {
	t.Helper()
	s := do(args...)
	require.Equal(t, exitDone, s.code, "relay %q: %s", args, s.err)
	return s.out
}

// refused runs a command line that must not work, and returns what it said on stderr. It must print nothing else.
func refused(t *testing.T, code int, args ...string) string {
	t.Helper()
	s := do(args...)
	require.Equal(t, code, s.code, "relay %q: %s%s", args, s.out, s.err)
	require.Empty(t, s.out, "relay %q", args)
	for line := range strings.Lines(s.err) {
		require.True(t, strings.HasPrefix(line, "relay: "), "relay %q: %s", args, line)
	}
	return s.err
}

// inEmptyFolder has commands find no relay.yaml but the one that the test writes.
func inEmptyFolder(t *testing.T, relayYAML string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if relayYAML != "" {
		require.NoError(t, os.WriteFile("relay.yaml", []byte(relayYAML), 0o600))
	}
}

// on has commands work on a database, which a relay of the test's own would read. It returns a pool on it.
func on(t *testing.T, address string) *pgxpool.Pool {
	t.Helper()
	inEmptyFolder(t, "")
	slot := pgtest.Slot(t)
	t.Setenv("RELAY_DATABASE_URL", address)
	t.Setenv("RELAY_REPLICATION_SLOT", slot)
	t.Setenv("RELAY_REPLICATION_PUBLICATION", slot)
	t.Setenv("RELAY_NETWORK_ALLOW", "127.0.0.0/8,::1/128")
	return pgtest.Pool(t, address)
}

// jsonLines reads one JSON value a line.
func jsonLines[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), "%s", line)
		all = append(all, v)
	}
	return all
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
