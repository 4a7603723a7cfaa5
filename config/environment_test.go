package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEnvironmentWins(t *testing.T) {
	path := write(t, "delivery: {timeout: 3s, accept: [200]}\nhttp: {listen: ':1'}\n")
	t.Setenv("RELAY_DATABASE_URL", "postgres://localhost/app")
	t.Setenv("RELAY_DELIVERY_TIMEOUT", "7s")
	t.Setenv("RELAY_DELIVERY_ACCEPT", "200, 202")
	t.Setenv("RELAY_DELIVERY_RETRY_EXPONENT", "2.5")
	t.Setenv("RELAY_DELIVERY_RETRY_MAX", "4")
	t.Setenv("RELAY_DELIVERY_CONCURRENCY", "33")
	t.Setenv("RELAY_NETWORK_REQUIRE_HTTPS", "true")
	t.Setenv("RELAY_NETWORK_ALLOW", "127.0.0.0/8,::1/128")
	t.Setenv("RELAY_HTTP_LISTEN", "")
	t.Setenv("RELAY_RETENTION", "0")
	t.Setenv("RELAY_EVENT_TYPES", `[{"type": "a.b", "description": "B", "sample": "{}"}]`)
	t.Setenv("RELAY_SUBSCRIPTIONS", "- {name: x, url: 'https://x.example', event_types: ['*']}")
	loaded, err := Load(path)
	require.NoError(t, err)
	require.Equal(t, "postgres://localhost/app", loaded.Database.URL)
	require.Equal(t, 7*time.Second, loaded.Delivery.Timeout)
	require.Equal(t, []string{"200", "202"}, loaded.Delivery.Accept)
	require.Equal(t, Retry{Max: 4, Base: 5 * time.Second, Unit: time.Second, Exponent: 2.5}, loaded.Delivery.Retry)
	require.Equal(t, 33, loaded.Delivery.Concurrency)
	require.True(t, loaded.Network.RequireHTTPS)
	require.Equal(t, []string{"127.0.0.0/8", "::1/128"}, loaded.Network.Allow)
	require.Empty(t, loaded.HTTP.Listen)
	require.Zero(t, loaded.Retention)
	require.Equal(t, []EventType{{Type: "a.b", Description: "B", Sample: "{}"}}, loaded.EventTypes)
	require.Equal(t, "https://x.example", loaded.Subscriptions[0].URL)
}

// A shell, a file or a chart may put white space around a value, and JSON around a list.
func TestVariablesAsTheyAreWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, value := range map[string]string{
		"RELAY_DATABASE_URL": "postgres://localhost/app\n", "RELAY_DELIVERY_TIMEOUT": " 5s ", "RELAY_DELIVERY_BODY": "payload ",
		"RELAY_DELIVERY_ACCEPT": ` ["200", "201"] `, "RELAY_DELIVERY_RETRY_ON": "[unreachable, 429]", "RELAY_DELIVERY_CONCURRENCY": " 7 ",
		"RELAY_NETWORK_ALLOW": `["127.0.0.0/8","::1/128"]`, "RELAY_NETWORK_REQUIRE_HTTPS": " true", "RELAY_DELIVERY_DISABLE_ON": "['410']",
		"RELAY_HTTP_LISTEN": " 127.0.0.1:8080", "RELAY_HTTP_HOSTS": "[ ]",
		"RELAY_SUBSCRIPTIONS": "\n  - {name: a, url: 'https://a.example', event_types: ['*']}\n  - {name: b, url: 'https://b.example', event_types: ['*']}\n",
	} {
		t.Setenv(name, value)
	}
	loaded, err := Load("")
	require.NoError(t, err)
	require.Equal(t, "postgres://localhost/app", loaded.Database.URL)
	require.Equal(t, Delivery{
		Timeout: 5 * time.Second, Body: BodyPayload, Accept: []string{"200", "201"}, RetryOn: []string{"unreachable", "429"},
		DisableOn: []string{"410"}, Retry: Default().Delivery.Retry, Concurrency: 7, ConcurrencyPerSubscription: 64,
	}, loaded.Delivery)
	require.Equal(t, Network{Allow: []string{"127.0.0.0/8", "::1/128"}, RequireHTTPS: true}, loaded.Network)
	require.Equal(t, "127.0.0.1:8080", loaded.HTTP.Listen)
	require.Empty(t, loaded.HTTP.Hosts)
	require.Len(t, loaded.Subscriptions, 2)
}

func TestBadVariables(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"RELAY_DELIVERY_TIMEOUT", "15", "delivery.timeout (RELAY_DELIVERY_TIMEOUT): 15 has no unit: write 15s, or with ms, m or h"},
		{"RELAY_DELIVERY_TIMEOUT", "soon", `delivery.timeout (RELAY_DELIVERY_TIMEOUT): "soon" is not a duration: write 15s, 1m30s or 720h`},
		{"RELAY_DELIVERY_TIMEOUT", "-1s", "delivery.timeout (RELAY_DELIVERY_TIMEOUT): -1s is out of range: more than 0, at most 1h"},
		{"RELAY_DELIVERY_ACCEPT", "200,0310", `delivery.accept[1] (RELAY_DELIVERY_ACCEPT): "0310" is neither a status code (200) nor a class (2xx)`},
		{"RELAY_DELIVERY_CONCURRENCY", "", "delivery.concurrency (RELAY_DELIVERY_CONCURRENCY): must be a whole number, not nothing"},
		{"RELAY_DELIVERY_CONCURRENCY", "many", "delivery.concurrency (RELAY_DELIVERY_CONCURRENCY): must be a whole number, not text"},
		{"RELAY_DELIVERY_CONCURRENCY", "0100", "delivery.concurrency (RELAY_DELIVERY_CONCURRENCY): 0100 is octal to some programs and decimal to others: leave out the leading 0"},
		{"RELAY_DELIVERY_RETRY_EXPONENT", "", "delivery.retry.exponent (RELAY_DELIVERY_RETRY_EXPONENT): must be a number, not nothing"},
		{"RELAY_NETWORK_REQUIRE_HTTPS", "maybe", `network.require_https (RELAY_NETWORK_REQUIRE_HTTPS): must be true or false, not "maybe"`},
		{"RELAY_SUBSCRIPTIONS", "{", "subscriptions (RELAY_SUBSCRIPTIONS): is neither YAML nor JSON: line 1: did not find expected node content"},
		{"RELAY_SUBSCRIPTIONS", "a: b: c", "subscriptions (RELAY_SUBSCRIPTIONS): is neither YAML nor JSON: line 1: mapping values are not allowed in this context"},
		{"RELAY_SUBSCRIPTIONS", "[]\n---\n[]", "subscriptions (RELAY_SUBSCRIPTIONS): holds a second document, from line 2: only one can be read"},
		{"RELAY_EVENT_TYPES", "[{type: a, sample: '1', smaple: '1'}]", "event_types[0].smaple (RELAY_EVENT_TYPES): unknown key; known here: type, description, sample, schema"},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv(tt.name, tt.value)
			_, err := Load("")
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestBothFileAndVariableAreJudged(t *testing.T) {
	t.Setenv("RELAY_DELIVERY_TIMEOUT", "-1s")
	_, err := Load(write(t, "delivery: {timeout: soon}"))
	require.EqualError(t, err, `delivery.timeout: "soon" is not a duration: write 15s, 1m30s or 720h
delivery.timeout (RELAY_DELIVERY_TIMEOUT): -1s is out of range: more than 0, at most 1h`)

	_, err = Load("no/such/relay.yaml")
	require.EqualError(t, err, `no/such/relay.yaml cannot be read: no such file or directory
delivery.timeout (RELAY_DELIVERY_TIMEOUT): -1s is out of range: more than 0, at most 1h`)
}

// A schema in the file has nothing to do with the entry that a variable puts in its place.
func TestVariablesReplaceSchemas(t *testing.T) {
	t.Setenv("RELAY_EVENT_TYPES", `[{"type": "b", "sample": "1"}]`)
	loaded, err := Load(write(t, "event_types: [{type: a, sample: '{}', schema: {type: object}}]"))
	require.NoError(t, err)
	require.Equal(t, []EventType{{Type: "b", Sample: "1"}}, loaded.EventTypes)
}
