package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/outboxrelay/relay/internal/bench/plot"
	"github.com/outboxrelay/relay/internal/bench/report"
	"github.com/outboxrelay/relay/internal/bench/rig"
)

// latency measures how long after its commit an event arrives, at two rates.
func latency(ctx context.Context, r *rig.Rig, size sizes, s *report.Section) (err error) {
	db, relay, err := r.LiveRelay(ctx, "latency", "/ok")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.Stop(), r.Drop(context.WithoutCancel(ctx), db)) }()

	lines := &plot.Lines{X: "of all events", Y: "from commit to arrival, ms", LogY: true, Ticks: percentileTicks()}
	for _, rate := range []int{100, 1000} {
		got, err := r.Observe(ctx, db, rig.Stream{Rate: rate, Lasting: size.latency})
		if err != nil {
			return relay.Failure(err)
		}
		at := fmt.Sprintf("%s events/s", plot.Thousands(int64(rate)))
		p50, p99 := delay("p50 at "+at, got, 50), delay("p99 at "+at, got, 99)
		p50.Note = slowest(got)
		if rate == 1000 {
			p50, p99 = p50.Against(report.Below(1.5)), p99.Against(report.Below(10))
		}
		s.Figures = append(s.Figures, p50, p99)
		lines.Series = append(lines.Series, plot.Series{Name: at, Points: curve(got)})
	}
	s.Charts = append(s.Charts, plot.Chart{File: "latency.svg", Title: "From commit to arrival, by the share of events that took no longer", Lines: lines})
	return nil
}

// percentiles are those of the curves. Below the middle there is little to see: an event may even arrive before its COMMIT returns.
var percentiles = []float64{50, 75, 90, 95, 99, 99.9}

func percentileTicks() []plot.Tick {
	var all []plot.Tick
	for i, p := range percentiles {
		all = append(all, plot.Tick{At: float64(i), Label: fmt.Sprintf("%v %%", p)})
	}
	return all
}

func curve(got rig.Delays) []plot.Point {
	var all []plot.Point
	for i, p := range percentiles {
		all = append(all, plot.Point{X: float64(i), Y: got.Percentile(p)})
	}
	return all
}

func delay(name string, got rig.Delays, p float64) report.Figure {
	return report.Figure{Name: name, Value: got.Percentile(p), Unit: "ms"}
}

func slowest(got rig.Delays) string {
	return fmt.Sprintf("%s events; the slowest %s ms", plot.Thousands(int64(len(got))), plot.Number(got.Percentile(100)))
}
