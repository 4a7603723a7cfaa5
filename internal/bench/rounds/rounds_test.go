package rounds_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/bench/rounds"
)

func TestRunGoesThereAndBack(t *testing.T) {
	var order strings.Builder
	variant := func(name string, rates ...float64) rounds.Variant {
		return rounds.Variant{Name: name, Run: func(context.Context) (rounds.Sample, error) {
			order.WriteString(name)
			rate := rates[0]
			rates = rates[1:]
			return rounds.Sample{Rate: rate, Count: 500, Sender: time.Second}, nil
		}}
	}
	// The machine is half as fast in the second round: the ratio doesn't notice.
	got, err := rounds.Run(t.Context(), 3, []rounds.Variant{variant("A", 100, 50, 120), variant("B", 80, 40, 90)})
	require.NoError(t, err)
	require.Equal(t, "ABBAAB", order.String())
	require.Equal(t, rounds.Spread{Median: 100, Low: 50, High: 120}, got.Rate(0))
	require.Equal(t, rounds.Spread{Median: 0.8, Low: 0.75, High: 0.8}, got.Ratio(1, 0))
	sender, postgres, _ := got.CPU(0)
	require.InDelta(t, 2, sender, 1e-9)
	require.Zero(t, postgres)
}

func TestRunNamesWhatFailed(t *testing.T) {
	fault := errors.New("gone")
	_, err := rounds.Run(t.Context(), 2, []rounds.Variant{{Name: "A", Run: func(context.Context) (rounds.Sample, error) { return rounds.Sample{}, fault }}})
	require.ErrorIs(t, err, fault)
	require.ErrorContains(t, err, "A, round 1")
}

func TestSpreadOf(t *testing.T) {
	require.Equal(t, rounds.Spread{Median: 2.5, Low: 1, High: 4}, rounds.SpreadOf([]float64{4, 1, 2, 3}))
}
