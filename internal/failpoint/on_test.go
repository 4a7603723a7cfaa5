//go:build failpoints

package failpoint

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]plan{
		"":                           {},
		"recorder/after-commit@3":    {point: "recorder/after-commit", nth: 3},
		"tailer/after-row@1:1m30s":   {point: "tailer/after-row", nth: 1, pause: 90 * time.Second},
		"recorder/after-commit@1:0s": {point: "recorder/after-commit", nth: 1},
	} {
		got, err := parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"nowhere@1", "recorder/after-commit", "recorder/after-commit@0", "recorder/after-commit@x", "recorder/after-commit@1:x"} {
		_, err := parse(text)
		require.Error(t, err, text)
	}
}

func TestHit(t *testing.T) {
	defer func(was plan) { wanted = was }(wanted)
	if os.Getenv("HIT") != "" { // The process that is to die.
		wanted = plan{point: "tailer/after-row", nth: 2}
		Hit("tailer/after-commit")
		Hit("tailer/after-row")
		Hit("tailer/after-commit")
		_, _ = os.Stdout.WriteString("alive\n")
		Hit("tailer/after-row")
		_, _ = os.Stdout.WriteString("still alive\n")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestHit$")
	cmd.Env = append(os.Environ(), "HIT=1")
	out, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	require.Equal(t, "alive\n", string(out))

	hits.Store(0)
	wanted = plan{point: "tailer/after-row", nth: 1, pause: 50 * time.Millisecond}
	began := time.Now()
	Hit("tailer/after-row")
	require.GreaterOrEqual(t, time.Since(began), wanted.pause)
}
