package relay

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/outbox"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"120":                           2 * time.Minute,
		" 7 ":                           7 * time.Second,
		"3600":                          time.Hour,
		"3601":                          time.Hour,
		"1000000000000":                 time.Hour,
		"99999999999999999999999":       time.Hour,
		"-5":                            0,
		"1.5":                           0,
		"soon":                          0,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second,
		"Sun, 01 Mar 2026 11:59:00 GMT": 0,
		"Mon, 01 Mar 2027 12:00:00 GMT": time.Hour,
	} {
		require.Equal(t, want, retryAfter(header, now), "%q", header)
	}
}

func TestDecideHonoursRetryAfter(t *testing.T) {
	delivery := config.Default().Delivery
	delivery.RetryOn = []string{"unreachable", "429", "5xx"}
	policy, err := NewPolicy(delivery)
	require.NoError(t, err)
	for _, test := range []struct {
		name  string
		code  int
		after string
		n     int
		delay time.Duration
	}{
		{"longer than the schedule", http.StatusTooManyRequests, "90", 1, 90 * time.Second},
		{"never sooner than the schedule", http.StatusTooManyRequests, "1", 2, 21 * time.Second},
		{"503 too", http.StatusServiceUnavailable, "60", 1, time.Minute},
		{"other codes say nothing", http.StatusInternalServerError, "60", 1, 6 * time.Second},
		{"capped", http.StatusServiceUnavailable, "86400", 1, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := policy.Decide(Outcome{Code: test.code, RetryAfter: test.after, EndedAt: time.Now()}, test.n)
			require.Equal(t, Decision{Status: outbox.StatusRetrying, Delay: test.delay}, got)
		})
	}
	got := policy.Decide(Outcome{Code: http.StatusTooManyRequests, RetryAfter: "90"}, 16)
	require.Equal(t, outbox.StatusFailed, got.Status, "the last attempt is the last")
}
