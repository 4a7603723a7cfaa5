package report

import (
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/rounds"
)

// spread prints the median, and lowest and highest where they differ from it.
func spread(s *rounds.Spread) string {
	if s == nil {
		return ""
	}
	median, low, high := plot.Number(s.Median), plot.Number(s.Low), plot.Number(s.High)
	if low == median && high == median {
		return median
	}
	return fmt.Sprintf("%s (%s–%s)", median, low, high)
}

// value prints a figure's.
func (f *Figure) value() string {
	if f.Spread != nil {
		return spread(f.Spread)
	}
	return plot.Number(f.Value)
}

// verdict is the target, and whether it is met.
func (f *Figure) verdict() string {
	if f.Target == nil {
		return ""
	}
	mark := "✗"
	if f.Target.met(f.Value) {
		mark = "✓"
	}
	return fmt.Sprintf("%s %s %s", mark, f.Target.Op, plot.Number(f.Target.Value))
}
