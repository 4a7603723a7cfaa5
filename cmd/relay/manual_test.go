package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheManualNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	for _, cmd := range newRootCommand(&program{}).Commands() {
		if cmd.IsAvailableCommand() && cmd.Name() != "help" {
			require.Contains(t, string(text), "`relay "+cmd.Name())
		}
	}
}
