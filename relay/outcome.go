package relay

import (
	"net/http"
	"strconv"
	"time"

	"github.com/outboxrelay/relay/outbox"
)

// retryAfterMaxBytes is enough for any date or number.
const retryAfterMaxBytes = 64

// Outcome is what one attempt came to: an answer, or the reason that there was none.
type Outcome struct {
	StartedAt time.Time // With the monotonic clock.
	EndedAt   time.Time // When the answer's headers had arrived, or it was given up. With the monotonic clock.

	Code         int    // The HTTP status code; 0 where there was no answer.
	ResponseBody string // The first KiB, made valid text.
	RetryAfter   string // The header of that name, unread; mostly empty.

	Class   outbox.ErrorClass // Why there was no answer; empty where there was one.
	Error   string            // The same in words, with no query string, user, password or secret.
	Aborted bool              // There was no answer because the caller's context was done: nothing was learnt of the receiver.
}

// Answered reports whether a status line and headers arrived, whatever they said.
func (o Outcome) Answered() bool { return o.Code != 0 }

// asksFor is how long the receiver wants to be left alone.
func (o Outcome) asksFor() time.Duration {
	if o.Code != http.StatusTooManyRequests && o.Code != http.StatusServiceUnavailable {
		return 0
	}
	return retryAfter(o.RetryAfter, o.EndedAt)
}

// result is the class of the answer's code, such as 2xx, or that of the error.
func (o Outcome) result() string {
	if !o.Answered() {
		return string(o.Class)
	}
	return strconv.Itoa(o.Code/100) + "xx"
}

// Duration is the time until the answer, or until it was given up.
func (o Outcome) Duration() time.Duration { return o.EndedAt.Sub(o.StartedAt) }
