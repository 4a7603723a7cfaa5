package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/outbox"
)

func TestDecide(t *testing.T) {
	byDefault := config.Default().Delivery
	wide := byDefault
	wide.Accept = []string{"2xx", "410"}
	wide.RetryOn = []string{"5xx", "429", "unreachable", "200", "404"}
	wide.DisableOn = []string{"410", "404", "403"}
	unanswered := Outcome{Class: outbox.ClassConnect}
	answered := func(code int) Outcome { return Outcome{Code: code} }
	retrying := func(delay time.Duration) Decision {
		return Decision{Status: outbox.StatusRetrying, Delay: delay}
	}
	for _, tt := range []struct {
		name     string
		delivery config.Delivery
		outcome  Outcome
		attempt  int
		want     Decision
	}{
		{"200", byDefault, answered(200), 1, Decision{Status: outbox.StatusAccepted}},
		{"200 at the last attempt", byDefault, answered(200), 16, Decision{Status: outbox.StatusAccepted}},
		{"201", byDefault, answered(201), 1, Decision{Status: outbox.StatusRejected}},
		{"204", byDefault, answered(204), 1, Decision{Status: outbox.StatusRejected}},
		{"101", byDefault, answered(101), 1, Decision{Status: outbox.StatusRejected}},
		{"302", byDefault, answered(302), 1, Decision{Status: outbox.StatusRejected}},
		{"410", byDefault, answered(410), 1, Decision{Status: outbox.StatusRejected}},
		{"429", byDefault, answered(429), 1, Decision{Status: outbox.StatusRejected}},
		{"500", byDefault, answered(500), 1, Decision{Status: outbox.StatusRejected}},
		{"999", byDefault, answered(999), 1, Decision{Status: outbox.StatusRejected}},
		{"unreachable", byDefault, unanswered, 1, retrying(6 * time.Second)},
		{"unreachable again", byDefault, unanswered, 2, retrying(21 * time.Second)},
		{"unreachable for the last time but one", byDefault, unanswered, 15, retrying(50630 * time.Second)},
		{"unreachable for the last time", byDefault, unanswered, 16, Decision{Status: outbox.StatusFailed}},
		{"beyond the last time", byDefault, unanswered, 17, Decision{Status: outbox.StatusFailed}},

		{"a class accepted", wide, answered(204), 1, Decision{Status: outbox.StatusAccepted}},
		{"accepted comes before retried", wide, answered(200), 1, Decision{Status: outbox.StatusAccepted}},
		{"retried though answered", wide, answered(503), 3, retrying(86 * time.Second)},
		{"retries of answers end", wide, answered(503), 16, Decision{Status: outbox.StatusFailed}},
		{"disabled", wide, answered(403), 1, Decision{Status: outbox.StatusRejected, Disable: true}},
		{"disabled comes before retried", wide, answered(404), 1, Decision{Status: outbox.StatusRejected, Disable: true}},
		{"accepted and disabled", wide, answered(410), 1, Decision{Status: outbox.StatusAccepted, Disable: true}},
		{"neither", wide, answered(400), 1, Decision{Status: outbox.StatusRejected}},

		{"unreachable is final", config.Delivery{Retry: byDefault.Retry}, unanswered, 1, Decision{Status: outbox.StatusFailed}},
		{"no retries", config.Delivery{RetryOn: []string{"unreachable"}}, unanswered, 1, Decision{Status: outbox.StatusFailed}},
		{"nothing is accepted", config.Delivery{}, answered(200), 1, Decision{Status: outbox.StatusRejected}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy, err := NewPolicy(tt.delivery)
			require.NoError(t, err)
			require.Equal(t, tt.want, policy.Decide(tt.outcome, tt.attempt))
		})
	}
}

func TestNewPolicyNamesTheSetting(t *testing.T) {
	for _, tt := range []struct {
		delivery config.Delivery
		want     string
	}{
		{config.Delivery{Accept: []string{"OK"}}, `delivery.accept: "OK" is neither a status code (200) nor a class of them (2xx)`},
		{config.Delivery{Accept: []string{"unreachable"}}, `delivery.accept: "unreachable" is neither a status code (200) nor a class of them (2xx)`},
		{config.Delivery{RetryOn: []string{"unreachable", "6xx"}}, `delivery.retry_on: "6xx" is neither a status code (200) nor a class of them (2xx)`},
		{config.Delivery{DisableOn: []string{"41"}}, `delivery.disable_on: "41" is neither a status code (200) nor a class of them (2xx)`},
	} {
		_, err := NewPolicy(tt.delivery)
		require.EqualError(t, err, tt.want)
	}
}
