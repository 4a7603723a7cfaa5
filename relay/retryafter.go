package relay

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfterMost caps what a Retry-After header may ask for: a receiver that says "in a year", by mistake mostly, is
// asked again within the hour.
const retryAfterMost = time.Hour

// retryAfter reads a Retry-After header (RFC 9110 section 10.2.3): seconds, or an HTTP date. What is neither, or lies in
// the past, is no delay.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(retryAfterMost/time.Second) {
			return retryAfterMost // More than an int64 holds, too.
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), retryAfterMost)
}
