package outbox_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A host app that imports this package gets pgx and uuid with it, and nothing of what the relay itself is built on.
func TestImportsLittle(t *testing.T) {
	t.Parallel()

	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-f", "{{if not .Standard}}{{with .Module}}{{.Path}}{{end}}{{end}}", ".").Output()
	require.NoError(t, err)
	modules := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		modules[strings.TrimSpace(line)] = true
	}
	delete(modules, "")
	require.Equal(t, map[string]bool{
		"github.com/outboxrelay/relay":   true,
		"github.com/google/uuid":         true,
		"github.com/jackc/pgx/v5":        true,
		"github.com/jackc/pgpassfile":    true, // pgx's own
		"github.com/jackc/pgservicefile": true,
		"golang.org/x/text":              true,
	}, modules)

	out, err = exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(out))
	require.Contains(t, packages, "github.com/outboxrelay/relay/outbox")
	require.NotContains(t, packages, "net/http")
	for _, p := range packages {
		if ours := strings.HasPrefix(p, "github.com/outboxrelay/relay"); ours {
			require.Equal(t, "github.com/outboxrelay/relay/outbox", p)
		}
	}
}
