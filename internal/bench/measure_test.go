package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChoose(t *testing.T) {
	core, err := choose("", false)
	require.NoError(t, err)
	require.Equal(t, "drain", core[0].name)
	all, err := choose("", true)
	require.NoError(t, err)
	require.Len(t, all, len(measurements))
	require.Less(t, len(core), len(all))

	chosen, err := choose("memory, drain", false)
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	require.Equal(t, "memory", chosen[0].name)

	_, err = choose("drain,speed", false)
	require.ErrorContains(t, err, `no measurement "speed": there are drain, slow, latency`)
}

// The page has a place for each measurement; without one, what was measured for it would be lost.
func TestPageHasAllMeasurements(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	require.NoError(t, err)
	for _, name := range append(names(), "machine") {
		require.Equal(t, 1, strings.Count(string(page), "<!-- bench "+name+" -->"), name)
		require.Equal(t, 1, strings.Count(string(page), "<!-- end "+name+" -->"), name)
	}
}

func TestPayloadOf(t *testing.T) {
	for _, n := range []int{200, 2_000, 200_000} {
		got := payloadOf(n)
		require.Len(t, got, n)
		require.True(t, json.Valid([]byte(got)))
	}
}
