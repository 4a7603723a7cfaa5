package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	dir := t.TempDir()
	document, file := filepath.Join(dir, "doc.md"), filepath.Join(dir, "results.json")
	require.NoError(t, os.WriteFile(document, []byte("before\n"+markBegin+"\nold\n"+markEnd+"\nafter\n"), 0o600))
	o := &options{json: file, markdown: document, add: true}

	first := &report{Command: "first", Results: []*result{{Campaign: "stop-relay", Did: "old"}, {Campaign: "clone", Skipped: "no room", Did: "nothing"}}}
	require.NoError(t, first.write(o))
	second := &report{Command: "second", Machine: "2 cores", Results: []*result{
		{Campaign: "kill-relay", Did: "killed", verdict: verdict{Events: 12345, Twice: 3}, Bound: 3, Recovery: 1234 * time.Millisecond},
		{Campaign: "stop-relay", Did: "stopped", verdict: verdict{Events: 9, Lost: 1}},
	}}
	require.NoError(t, second.write(o))
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	require.Regexp(t, `(?s)^before\n.*`+markBegin+`\n\n.*second.*first.*
\| .kill-relay. \| killed \| 12,345 \| 0 \| 0 \| 0 \| 3 \(3\) \| 1.23s \| pass \|
\| .stop-relay. \| stopped \| 9 \| 1 \| 0 \| 0 \| 0 \(0\) \|  \| FAIL \|
\| .clone. \| nothing: no room .*not done.*
`+markEnd+`\nafter\n$`, string(text))
	require.NotContains(t, string(text), "old")
	require.False(t, second.passed())

	require.NoError(t, os.WriteFile(document, []byte("no marks"), 0o600))
	require.Error(t, second.insertInto(document))
}

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	require.Equal(t, campaigns, all)
	some, err := choose("kill-relay,stop-*")
	require.NoError(t, err)
	require.Len(t, some, 3)
	_, err = choose("nothing")
	require.Error(t, err)
	names := make(map[string]bool)
	for _, c := range campaigns {
		require.NotEmpty(t, c.doc)
		require.False(t, names[c.name], c.name)
		names[c.name] = true
	}
}
