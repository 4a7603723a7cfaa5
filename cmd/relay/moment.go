package main

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// parseMoment reads a point in time as a person writes it: RFC 3339, a date or a date and time (of this machine's time
// zone), or how long ago: 90m, 2h, 3d, 1w. flag names it in the error.
func parseMoment(flag, text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if ago, ok := parseAgo(text); ok {
		return now.Add(-ago), nil
	}
	return time.Time{}, usagef("%s %q: is no time: write 2h or 3d (ago), 2026-01-31, '2026-01-31 18:00' or 2026-01-31T18:00:00Z", flag, text)
}

// parseAgo reads a positive duration that may also be of whole days and weeks.
func parseAgo(text string) (time.Duration, bool) {
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if digits, ok := strings.CutSuffix(text, suffix); ok {
			n, err := strconv.ParseUint(digits, 10, 31)
			if err != nil || time.Duration(n) > math.MaxInt64/unit {
				return 0, false
			}
			return time.Duration(n) * unit, true
		}
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
