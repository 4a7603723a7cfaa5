package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseMoment(t *testing.T) {
	zone := time.FixedZone("here", 2*60*60)
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, zone)
	for text, want := range map[string]string{
		"2026-01-31T18:00:00Z":        "2026-01-31T18:00:00Z",
		"2026-01-31T18:00:00.5+01:00": "2026-01-31T17:00:00.5Z",
		"2026-01-31":                  "2026-01-30T22:00:00Z",
		"2026-01-31 18:00":            "2026-01-31T16:00:00Z",
		"2026-01-31T18:00:07":         "2026-01-31T16:00:07Z",
		"90m":                         "2026-03-10T08:30:00Z",
		"1h30m":                       "2026-03-10T08:30:00Z",
		"3d":                          "2026-03-07T10:00:00Z",
		"2w":                          "2026-02-24T10:00:00Z",
		"0s":                          "2026-03-10T10:00:00Z",
	} {
		got, err := parseMoment("--since", text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got.UTC().Format(time.RFC3339Nano), text)
	}
	for _, text := range []string{"", "yesterday", "-2h", "2", "2026-02-30", "31.1.2026", "d", "-3d", "1.5d", "99999999999w", "9999999d9999999d"} {
		_, err := parseMoment("--since", text, now)
		require.ErrorAs(t, err, new(usageError), text)
		require.ErrorContains(t, err, "--since ")
	}
}
