package main

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// answer runs a command line at a terminal where somebody types.
func answer(typed string, args ...string) said {
	var out, err bytes.Buffer
	p := &program{stdout: &out, stderr: &err, terminal: terminal{in: bytes.NewBufferString(typed), interactive: true}}
	code := p.execute(args)
	return said{code, out.String(), err.String()}
}

func TestConfirm(t *testing.T) {
	for typed, want := range map[string]error{"y\n": nil, "Yes\n": nil, "\n": errDeclined, "n\n": errDeclined, "": errDeclined, "yup\n": errDeclined} {
		var out bytes.Buffer
		p := &program{stdout: &out, terminal: terminal{in: bytes.NewBufferString(typed), interactive: true}}
		require.ErrorIs(t, p.confirm(t.Context(), false, "Go on?"), want, "%q", typed)
		require.Equal(t, "Go on? [y/N] ", out.String())
	}
}

func TestAQuestionCanBeLeft(t *testing.T) {
	silent, typing := io.Pipe()
	defer typing.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := &program{stdout: io.Discard, terminal: terminal{in: silent, interactive: true}}
	require.ErrorIs(t, p.confirm(ctx, false, "Go on?"), context.Canceled)
}

func TestNobodyIsAskedWhereNobodyIs(t *testing.T) {
	p := &program{stdout: io.Discard}
	require.ErrorAs(t, p.confirm(t.Context(), false, "Go on?"), new(usageError))
	require.NoError(t, p.confirm(t.Context(), true, "Go on?"))
}
