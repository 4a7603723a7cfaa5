package main

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/failpoint"
)

func TestNoSlotIsLostBehindAnotherPoint(t *testing.T) {
	for seed := range uint64(20) {
		r := &rig{random: rand.New(rand.NewPCG(seed, 1))}
		points := r.shuffled(failpoint.Points)
		require.ElementsMatch(t, failpoint.Points, points)
		loses := func(p failpoint.Point) bool { return p.Scene == failpoint.NoSlot || p.Scene == failpoint.Unused }
		first := slices.IndexFunc(points, func(p failpoint.Point) bool { return !loses(p) })
		require.False(t, slices.ContainsFunc(points[first:], loses))
	}
}
