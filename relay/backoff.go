package relay

import (
	"math"
	"time"
)

// Schedule says when a delivery that could not be made is tried again.
type Schedule struct {
	Max      int           // Retries after the first attempt; 0 means that there are none.
	Base     time.Duration // The delay after attempt n is Base + Unit × n^Exponent.
	Unit     time.Duration
	Exponent float64
}

// Delay is the time between attempt n (1 is the first) and the next one. It is never negative, and at most what a
// time.Duration holds, whatever the settings. It does not look at Max.
func (s Schedule) Delay(n int) time.Duration {
	delay := float64(s.Base) + float64(s.Unit)*math.Pow(float64(max(n, 1)), s.Exponent)
	switch {
	case delay >= math.MaxInt64:
		return math.MaxInt64
	case delay > 0:
		return time.Duration(delay)
	default: // negative settings, or not a number
		return 0
	}
}
