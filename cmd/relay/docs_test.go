package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const catalogue = `
event_types:
  - type: user.invited
    description: A user was invited.
    sample: '{"email": "ada@example.com",  "n": 1.0}'
  - type: order.paid
    description: |
      An order was paid.
      In full.
    sample: |
      {
        "id": 1
      }
`

func TestDocs(t *testing.T) {
	inEmptyFolder(t, catalogue)
	require.Equal(t, `order.paid
  An order was paid.
  In full.

    {
      "id": 1
    }

user.invited
  A user was invited.

    {"email": "ada@example.com",  "n": 1.0}
`, did(t, "docs"))
	types := jsonLines[struct {
		Type, Description string
		Sample            json.RawMessage
	}](t, did(t, "docs", "--json"))
	require.Len(t, types, 2)
	require.Equal(t, "order.paid", types[0].Type)
	require.JSONEq(t, `{"id": 1}`, string(types[0].Sample))
}

func TestDocsOfNothingSayHowToBegin(t *testing.T) {
	inEmptyFolder(t, "")
	said := did(t, "docs")
	require.Contains(t, said, "No event type is documented yet. List them in relay.yaml:\n\nevent_types:\n")
	require.Empty(t, did(t, "docs", "--json"))

	_, example, _ := strings.Cut(said, "\n\n") // What it shows must work.
	require.Contains(t, did(t, "docs", "--config", writeFile(t, example)), "user.invited\n  A user was invited.\n")
}
