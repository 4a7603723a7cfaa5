package failpoint

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

var hit = regexp.MustCompile(`failpoint\.Hit\(([^)]*)\)`)

// Every point of the list is in the code once, and every call is of a point of the list, by its name as text: otherwise a
// campaign would not know what it has not tried.
func TestThePointsAreThoseInTheCode(t *testing.T) {
	var inCode, listed []string
	for _, dir := range []string{"cmd", "config", "internal", "outbox", "relay"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || filepath.Base(filepath.Dir(path)) == "failpoint" {
				return err
			}
			text, err := os.ReadFile(path)
			for _, call := range hit.FindAllStringSubmatch(string(text), -1) {
				inCode = append(inCode, strings.Trim(call[1], `"`))
			}
			return err
		}))
	}
	for _, p := range Points {
		require.NotEmpty(t, p.Scene, p.Name)
		require.NotEmpty(t, p.What, p.Name)
		listed = append(listed, p.Name)
	}
	slices.Sort(inCode)
	slices.Sort(listed)
	require.Equal(t, listed, inCode)
}

// Without the tag nothing of a point is left in the program: not the call, not its name. With it, every name is there.
func TestAPointCostsNothing(t *testing.T) {
	plain, tagged := build(t), build(t, "-tags", "failpoints")
	for _, p := range Points {
		require.NotContains(t, plain, p.Name)
		require.Contains(t, tagged, p.Name)
	}
	const symbol = "internal/failpoint.Hit"
	require.NotContains(t, plain, symbol)
	require.Contains(t, tagged, symbol)
}

// build returns the program's bytes, without what is there for debuggers alone.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-ldflags=-w", "-buildvcs=false", "-o", path}, flags, []string{"./cmd/relay"})...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(program)
}
