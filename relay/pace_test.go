package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPaceLetsEverythingPassWithoutARate(t *testing.T) {
	var p pace
	now := time.Now()
	for range 1000 {
		require.Zero(t, p.wait(now, 5))
		p.spend(now)
	}
}

// Whatever the moments at which requests could begin, no window of time holds more than its rate allows, but for the
// slack; and a lane that asks again when it was told to gets its full rate.
func TestPaceKeepsTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.01, 5000).Draw(t, "rate")
		var p pace
		p.set(rate)
		begin := time.Now()
		now := begin
		var begun []time.Time
		for range 300 {
			if wait := p.wait(now, 0); wait > 0 {
				now = now.Add(wait)
				require.Zero(t, p.wait(now, 0), "its turn has come")
			}
			p.spend(now)
			begun = append(begun, now)
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*p.every)).Draw(t, "later")))
		}
		for i := 0; i < len(begun); i += 10 {
			for j := i + 1; j < len(begun); j++ {
				span := begun[j].Sub(begun[i]) + paceSlack
				require.LessOrEqual(t, time.Duration(j-i)*p.every, span+p.every, "%d requests in %s at %v/s", j-i+1, span, rate)
			}
		}
	})
}

func TestPaceWithinCountsWhatMayBegin(t *testing.T) {
	var p pace
	p.set(20)
	now := time.Now()
	require.Equal(t, 6, p.within(now, 0), "now, and after 50, 100, 150, 200 and 250 ms")
	require.Equal(t, 1, p.within(now, 5))
	require.Zero(t, p.within(now, 6))
	p.set(0.1)
	require.Equal(t, 1, p.within(now, 0))
	p.spend(now)
	require.Zero(t, p.within(now, 0))
	require.Equal(t, 10*time.Second-paceSlack, p.wait(now, 0))
}
