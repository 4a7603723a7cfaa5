package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// limitFlags are a subscription's own limits, as text: an empty one means none.
type limitFlags struct{ rate, concurrency, timeout string }

func (l *limitFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&l.rate, "rate", "", "requests a second at most, `n`, evenly spaced (default: no limit)")
	flags.StringVar(&l.concurrency, "concurrency", "",
		"requests in flight at most, `n` (default: delivery.concurrency_per_subscription)")
	flags.StringVar(&l.timeout, "timeout", "", "how long its server may take to answer, a `duration` such as 5s\n(default: delivery.timeout)")
}

// parse returns the limits that are given.
func (l *limitFlags) parse() (store.Limits, error) {
	var limits store.Limits
	if l.rate != "" {
		rate, err := strconv.ParseFloat(l.rate, 64)
		if err != nil || !(rate >= 0.001) || rate > 100_000 {
			return limits, usagef("--rate %q: must be 0.001 to 100000 requests a second, or '' for no limit", l.rate)
		}
		limits.Rate = &rate
	}
	if l.concurrency != "" {
		n, err := strconv.Atoi(l.concurrency)
		if err != nil || n < 1 || n > 10_000 {
			return limits, usagef("--concurrency %q: must be 1 to 10000 requests in flight, or '' for the default", l.concurrency)
		}
		limits.Concurrency = &n
	}
	if l.timeout != "" {
		timeout, err := time.ParseDuration(l.timeout)
		if err != nil || timeout < time.Millisecond || timeout > time.Hour {
			return limits, usagef("--timeout %q: must be 1ms to 1h, such as 5s, or '' for the default", l.timeout)
		}
		timeout = timeout.Truncate(time.Microsecond) // As the table has it.
		limits.Timeout = &timeout
	}
	return limits, nil
}

// formatLimits says what limits a subscription has of its own: 5/s, 4 at once, 3s; empty: none.
func formatLimits(s *outbox.Subscription) string {
	var words []string
	if s.Rate != nil {
		words = append(words, strconv.FormatFloat(*s.Rate, 'g', -1, 64)+"/s")
	}
	if s.Concurrency != nil {
		words = append(words, fmt.Sprintf("%d at once", *s.Concurrency))
	}
	if s.Timeout != nil {
		words = append(words, s.Timeout.String())
	}
	return strings.Join(words, ", ")
}
