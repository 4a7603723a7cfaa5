package relay

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
)

// The whole schedule of the default settings, to the second: 16 attempts over about two days.
func TestScheduleByDefault(t *testing.T) {
	schedule := Schedule(config.Default().Delivery.Retry)
	seconds := []int64{
		6, 21, 86, 261, 630, 1301, 2406, 4101, 6566, 10005, 14646, 20741, 28566, 38421, 50630,
	}
	require.Len(t, seconds, schedule.Max)
	var total time.Duration
	for i, want := range seconds {
		require.Equal(t, time.Duration(want)*time.Second, schedule.Delay(i+1), "after attempt %d", i+1)
		total += schedule.Delay(i + 1)
	}
	require.Equal(t, 178387*time.Second, total)
	require.InDelta(t, 2.06, total.Hours()/24, 0.01, "days")
}

func TestScheduleDelay(t *testing.T) {
	const longest = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		name     string
		schedule Schedule
		n        int
		want     time.Duration
	}{
		{"the same each time", Schedule{Base: time.Minute}, 9, time.Minute},
		{"linear", Schedule{Unit: time.Second, Exponent: 1}, 9, 9 * time.Second},
		{"exponent 0", Schedule{Base: time.Second, Unit: time.Second}, 9, 2 * time.Second},
		{"a root", Schedule{Unit: time.Second, Exponent: 0.5}, 9, 3 * time.Second},
		{"milliseconds", Schedule{Base: time.Millisecond, Unit: time.Millisecond, Exponent: 2}, 3, 10 * time.Millisecond},
		{"zero", Schedule{}, 1, 0},
		{"attempt 0 is the first", Schedule{Base: 5 * time.Second, Unit: time.Second, Exponent: 4}, 0, 6 * time.Second},
		{"attempt below 0 is the first", Schedule{Unit: time.Second, Exponent: 3}, -5, time.Second},
		{"too large for a duration", Schedule{Base: time.Second, Unit: time.Hour, Exponent: 9}, 1000, longest},
		{"infinite", Schedule{Unit: time.Hour, Exponent: 400}, math.MaxInt, longest},
		{"both as large as can be", Schedule{Base: longest, Unit: longest, Exponent: 1}, 2, longest},
		{"negative", Schedule{Base: -time.Hour, Unit: -time.Hour, Exponent: 4}, 5, 0},
		{"infinitely negative", Schedule{Unit: -time.Hour, Exponent: 400}, math.MaxInt, 0},
		{"not a number", Schedule{Base: time.Second, Unit: time.Second, Exponent: math.NaN()}, 2, 0},
		{"nothing times infinity", Schedule{Base: time.Second, Exponent: 4000}, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.schedule.Delay(tt.n))
		})
	}
}

func FuzzScheduleDelay(f *testing.F) {
	f.Add(int64(5e9), int64(1e9), 4.0, 15)
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), math.Inf(1), math.MaxInt)
	f.Fuzz(func(t *testing.T, base, unit int64, exponent float64, n int) {
		schedule := Schedule{Base: time.Duration(base), Unit: time.Duration(unit), Exponent: exponent}
		delay := schedule.Delay(n)
		require.GreaterOrEqual(t, delay, time.Duration(0))
		if base >= 0 && unit >= 0 && exponent >= 0 && n < math.MaxInt {
			require.LessOrEqual(t, delay, schedule.Delay(n+1), "a later attempt never comes sooner")
		}
	})
}
