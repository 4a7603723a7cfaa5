package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
)

// command runs a command line with a text on standard input.
func command(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	p := &program{stdout: &out, stderr: &errs}
	root := newRootCommand(p)
	root.SetArgs(args)
	root.SetIn(strings.NewReader(in))
	root.SetOut(&out)
	root.SetErr(&errs)
	code = p.report(root.ExecuteContext(t.Context()))
	return code, out.String(), errs.String()
}

func TestHashPassword(t *testing.T) {
	code, hash, _ := command(t, "correct horse\n", "hash-password")
	require.Equal(t, exitDone, code)
	cfg := config.Default()
	cfg.HTTP.Auth.Users = []config.User{{Name: "ada", PasswordHash: strings.TrimSpace(hash)}}
	require.Empty(t, cfg.Validate())
	gate, err := access.New(cfg.HTTP)
	require.NoError(t, err)
	_, err = gate.SignIn(t.Context(), "192.0.2.1:1", "ada", "correct horse")
	require.NoError(t, err)

	code, out, stderr := command(t, "short\n", "hash-password")
	require.Equal(t, exitUsage, code)
	require.Empty(t, out)
	require.Contains(t, stderr, "shorter than 8 characters")
	require.NotContains(t, stderr, "short\n")

	code, out, _ = command(t, "", "hash-password", "--token")
	require.Equal(t, exitDone, code)
	require.Regexp(t, `(?s)token +\S{43}\n.*hash +[0-9a-f]{64}\n`, out)
}

func TestConsoleLink(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	code, _, stderr := command(t, "", "console-link", "--tenant", "acme")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "http.link_key is not set")

	t.Setenv("RELAY_HTTP_LINK_KEY", key)
	code, out, _ := command(t, "", "console-link", "--tenant", "acme", "--expires", "10m", "--url", "https://relay.example.com/")
	require.Equal(t, exitDone, code)
	base, token, _ := strings.Cut(strings.TrimSpace(out), access.LinkPath)
	require.Equal(t, "https://relay.example.com", base)
	gate, err := access.New(config.HTTP{LinkKey: key})
	require.NoError(t, err)
	viewer, _, err := gate.Enter(token)
	require.NoError(t, err)
	require.Equal(t, "acme", viewer.Tenant)

	for _, args := range [][]string{{}, {"--tenant", "a", "--expires", "0s"}, {"--tenant", "a", "--expires", "800h"}} {
		code, _, _ = command(t, "", append([]string{"console-link"}, args...)...)
		require.Equal(t, exitUsage, code, args)
	}
	_, out, _ = command(t, "", "console-link", "--tenant", "acme")
	require.Contains(t, out, "http://127.0.0.1:8080/enter?token=")
}
