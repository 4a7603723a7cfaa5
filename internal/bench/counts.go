package main

import (
	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// counted is "1 relay", "2 relays".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return plot.Thousands(int64(n)) + " " + what + "s"
}

// overCounts is a chart of rates by a count, evenly spaced: each is ten times or twice the one before, but for 0.
func overCounts(got *rounds.Results, counts []int, x string) *plot.Lines {
	lines := &plot.Lines{X: x, Y: "deliveries/s"}
	var relay plot.Series
	for i, n := range counts {
		at := float64(i)
		lines.Ticks = append(lines.Ticks, plot.Tick{At: at, Label: plot.Thousands(int64(n))})
		relay.Points = append(relay.Points, point(at, got.Rate(i)))
	}
	lines.Series = []plot.Series{relay}
	return lines
}

// peak is the sender's peak memory in MiB.
func peak(s rounds.Sample) float64 { return mebibytes(s.PeakBytes) }
