// Package rounds compares variants fairly: all of them are measured in each of several rounds, so that what the machine
// does meanwhile meets them alike, and ratios are taken within a round.
package rounds

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Sample is one measurement of a variant.
type Sample struct {
	Rate  float64 // Of what is counted, a second.
	Count int     // How much was counted: what CPU times are divided by.

	// CPU time of whoever sends, of Postgres, and of the receiver. Zero: not measured.
	Sender, Postgres, Receiver time.Duration

	PeakBytes int64         // Of the sender's memory. Zero: not measured.
	Start     time.Duration // From the start of the sender to the first receipt.
	Twice     int           // Requests beyond those expected.

	P50, P99 time.Duration // How long each took, where that is what counts.
}

// Variant is one of those compared.
type Variant struct {
	Name string
	Run  func(context.Context) (Sample, error)
}

// Results are the samples of each variant, one a round.
type Results struct {
	Names   []string
	Samples [][]Sample
}

// Run measures all variants n times, there and back again: A B C, C B A, A B C. So what changes steadily, such as the
// size of a table or the temperature of a CPU, favours none.
func Run(ctx context.Context, n int, variants []Variant) (*Results, error) {
	r := &Results{Names: make([]string, len(variants)), Samples: make([][]Sample, len(variants))}
	order := make([]int, len(variants))
	for i, v := range variants {
		order[i], r.Names[i] = i, v.Name
	}
	for round := range n {
		for _, i := range order {
			sample, err := variants[i].Run(ctx)
			if err != nil {
				return r, fmt.Errorf("%s, round %d: %w", variants[i].Name, round+1, err)
			}
			r.Samples[i] = append(r.Samples[i], sample)
		}
		slices.Reverse(order)
	}
	return r, nil
}

// Spread is what several rounds gave: the median, and the lowest and highest of all.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// SpreadOf is that of values, of which there must be one at least.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Low: sorted[0], High: sorted[n-1]}
}

// Of is the spread of what get reads from each sample of variant i.
func (r *Results) Of(i int, get func(Sample) float64) Spread {
	values := make([]float64, len(r.Samples[i]))
	for round, s := range r.Samples[i] {
		values[round] = get(s)
	}
	return SpreadOf(values)
}

// Rate is the rate of variant i.
func (r *Results) Rate(i int) Spread { return r.Of(i, func(s Sample) float64 { return s.Rate }) }

// Ratio is the rate of variant i divided by that of variant base in the same round.
func (r *Results) Ratio(i, base int) Spread {
	values := make([]float64, len(r.Samples[i]))
	for round, s := range r.Samples[i] {
		values[round] = s.Rate / r.Samples[base][round].Rate
	}
	return SpreadOf(values)
}

// CPU is the median CPU time in seconds for each 1,000 that variant i counted.
func (r *Results) CPU(i int) (sender, postgres, receiver float64) {
	per := func(get func(Sample) time.Duration) float64 {
		return r.Of(i, func(s Sample) float64 { return get(s).Seconds() / float64(s.Count) * 1000 }).Median
	}
	return per(func(s Sample) time.Duration { return s.Sender }),
		per(func(s Sample) time.Duration { return s.Postgres }),
		per(func(s Sample) time.Duration { return s.Receiver })
}
