package relay

import (
	"fmt"
	"time"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/outbox"
)

// retryUnreachable is the word in delivery.retry_on for attempts that got no answer.
const retryUnreachable = "unreachable"

// Policy says what the outcome of an attempt means. It may be copied and used by several goroutines.
type Policy struct {
	Accept           CodeSet  // The receiver took it.
	Retry            CodeSet  // Tried again, though answered.
	Disable          CodeSet  // Also switches the subscription off.
	RetryUnreachable bool     // Tried again where there was no answer.
	Schedule         Schedule // When, and how often.
}

// Decision is what becomes of a delivery after an attempt.
type Decision struct {
	Status  outbox.Status // Accepted, rejected, retrying or failed.
	Delay   time.Duration // From the end of this attempt to the next one; only where retrying.
	Disable bool          // Whether the subscription is to be switched off.
}

// NewPolicy makes the policy that the settings describe. The error names the setting that is wrong.
func NewPolicy(d config.Delivery) (Policy, error) {
	p := Policy{Schedule: Schedule(d.Retry)}
	var retryOn []string
	for _, item := range d.RetryOn {
		if item == retryUnreachable {
			p.RetryUnreachable = true
		} else {
			retryOn = append(retryOn, item)
		}
	}
	for _, setting := range []struct {
		name  string
		items []string
		set   *CodeSet
	}{
		{"delivery.accept", d.Accept, &p.Accept},
		{"delivery.retry_on", retryOn, &p.Retry},
		{"delivery.disable_on", d.DisableOn, &p.Disable},
	} {
		set, err := ParseCodes(setting.items)
		if err != nil {
			return Policy{}, fmt.Errorf("%s: %w", setting.name, err)
		}
		*setting.set = set
	}
	return p, nil
}

// Decide judges the outcome of an attempt; attempt is its number, 1 for the first. A code in several sets is accepted
// first, then disabling, then tried again: nothing more is sent to a subscription that is switched off. The next attempt
// comes when the schedule says, or later where a 429 or 503 asks for that by Retry-After, an hour at most.
func (p Policy) Decide(o Outcome, attempt int) Decision {
	disable := o.Answered() && p.Disable.Contains(o.Code)
	switch {
	case o.Answered() && p.Accept.Contains(o.Code):
		return Decision{Status: outbox.StatusAccepted, Disable: disable}
	case o.Answered() && (disable || !p.Retry.Contains(o.Code)):
		return Decision{Status: outbox.StatusRejected, Disable: disable}
	case !o.Answered() && !p.RetryUnreachable, attempt > p.Schedule.Max:
		return Decision{Status: outbox.StatusFailed}
	default:
		return Decision{Status: outbox.StatusRetrying, Delay: max(p.Schedule.Delay(attempt), o.asksFor())}
	}
}
