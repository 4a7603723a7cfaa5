package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// full is a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWritten(t *testing.T) {
	inEmptyFolder(t, catalogue)
	for _, line := range []string{"check", "docs", "docs --json", "version", "help", "log --help", "hash-password --token"} {
		var said bytes.Buffer
		require.Equal(t, exitFailed, execute(strings.Fields(line), full{}, &said), line)
		require.True(t, strings.HasSuffix(said.String(), ": no space left on device\n"), "relay %s: %s", line, said.String())
	}
}

func TestOneLineAFault(t *testing.T) {
	inEmptyFolder(t, "{\"a\\nb\": 1, \"c\": 2}")
	require.Regexp(t, `^relay: a\\nb: unknown key; .*\nrelay: c: unknown key; .*\n$`, refused(t, exitUsage, "docs"))
	require.Equal(t, "relay: unknown flag: --a\\nb; see relay log --help\n", refused(t, exitUsage, "log", "--a\nb"))
	require.Equal(t, []string{"one\nline", "another", "with: two\nerrors"},
		faults(errors.Join(errors.New("one\nline"), errors.Join(errors.New("another"), fmt.Errorf("with: %w", errors.New("two\nerrors"))))))
	two := fmt.Errorf("%w; %w", errors.New("a"), errors.New("b"))
	require.Equal(t, []string{"a; b"}, faults(two))
}

func TestTheLastWordOfAJSONLogIsJSON(t *testing.T) {
	inEmptyFolder(t, "nope: 1\nneither: 2")
	s := do("run", "--log-format", "json")
	require.Equal(t, exitUsage, s.code)
	records := jsonLines[map[string]any](t, s.err)
	require.Len(t, records, 2)
	require.Equal(t, "ERROR", records[0]["level"])
	require.Equal(t, "ended", records[0]["msg"])
	require.Contains(t, records[0]["error"], "neither: unknown key")

	inEmptyFolder(t, "")
	t.Setenv("RELAY_DATABASE_URL", "postgres://u@127.0.0.1:1/app")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	t.Setenv("RELAY_HTTP_LISTEN", taken.Addr().String())
	s = do("run", "--log-format", "json", "--log-level", "error")
	require.Equal(t, exitFailed, s.code)
	require.Contains(t, jsonLines[map[string]any](t, s.err)[0]["error"], "is in use")
}
