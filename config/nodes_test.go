package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTextIsTakenAsItIsWritten(t *testing.T) {
	loaded, err := Load(write(t, `
delivery: {retry_on: [unreachable, 429, 5xx]}
event_types:
  - {type: 1.10, description: 2024-01-01, sample: 1e3}
subscriptions:
  - name: 0123
    tenant: 007
    url: https://x.example
    event_types: [0123, 1_000, True, 2024-01-01]
    headers: {X-Account: 0042, X-Ver: 1.10, X-Big: 12345678901234567890123, X-Day: 2024-01-01, X-On: yes, X-Hex: 0xFF, 0310: .5}
  - {name: 2024-01-01, tenant: 1_000, url: https://x.example, event_types: [a], rate: 0x10}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"unreachable", "429", "5xx"}, loaded.Delivery.RetryOn)
	require.Equal(t, []EventType{{Type: "1.10", Description: "2024-01-01", Sample: "1e3"}}, loaded.EventTypes)
	require.Equal(t, []Subscription{
		{Name: "0123", Tenant: "007", URL: "https://x.example", EventTypes: []string{"0123", "1_000", "True", "2024-01-01"},
			Headers: map[string]string{
				"x-account": "0042", "x-ver": "1.10", "x-big": "12345678901234567890123", "x-day": "2024-01-01", "x-on": "yes",
				"x-hex": "0xFF", "0310": ".5",
			}},
		{Name: "2024-01-01", Tenant: "1_000", URL: "https://x.example", EventTypes: []string{"a"}, Rate: 16},
	}, loaded.Subscriptions)
}

// One text may stand for a number in one place and for text in another.
func TestAliasesAndMerges(t *testing.T) {
	loaded, err := Load(write(t, `
delivery: {concurrency: &n 0x64}
subscriptions:
  - &a {name: *n, url: https://a.example, event_types: [a], headers: &h {X-A: 01, X-B: b}}
  - {<<: *a, Name: b, headers: {<<: [*h, {x-c: 03}], x-a: 02}}
`))
	require.NoError(t, err)
	require.Equal(t, 100, loaded.Delivery.Concurrency)
	require.Equal(t, []Subscription{
		{Name: "0x64", URL: "https://a.example", EventTypes: []string{"a"}, Headers: map[string]string{"x-a": "01", "x-b": "b"}},
		{Name: "b", URL: "https://a.example", EventTypes: []string{"a"}, Headers: map[string]string{"x-a": "02", "x-b": "b", "x-c": "03"}},
	}, loaded.Subscriptions)
}

func TestBadKeys(t *testing.T) {
	const subscription = "subscriptions: [{name: a, url: 'https://x', event_types: [a], "
	const known = "; known here: database, replication, delivery, network, http, retention, event_types, subscriptions"
	tests := []struct{ name, text, want string }{
		{"twice", "delivery:\n  timeout: 1s\n  timeout: 2s\n", "delivery.timeout: is there twice, at lines 2 and 3"},
		{"thrice", "retention: 1h\nretention: 2h\nretention: 3h\n", "retention: is there twice, at lines 1 and 2"},
		{"twice in a line", "{retention: 1h, retention: 2h}", "retention: is there twice, at line 1"},
		{"twice in two cases", "delivery: {}\nDelivery: {}\n", "delivery: is there twice, as delivery and Delivery, at lines 1 and 2"},
		{"twice, and more", "delivery: {timeout: 0s}\ndelivery: {}\nfoo: 1\nretention: -1h\n", `delivery: is there twice, at lines 1 and 2
foo: unknown key` + known + `
retention: must not be negative; 0 keeps everything`},
		{"header", subscription + "headers: {X-A: a, x-a: b}}]", "subscriptions[0].headers.x-a: is there twice, as X-A and x-a, at line 1"},
		{"in a schema", "event_types: [{type: a, sample: '1', schema: {title: a, title: b}}]",
			`event_types[0].schema: is not usable: line 1: mapping key "title" already defined at line 1`},
		{"null", "~: {a: 3}", "~: null is no key, at line 1"},
		{"null below", "delivery:\n  null: 3\n", "delivery.~: null is no key, at line 2"},
		{"null header", subscription + "headers: {null: x}}]", "subscriptions[0].headers.~: null is no key, at line 1"},
		{"null in a schema", "event_types: [{type: a, sample: '1', schema: {~: 3}}]", "event_types[0].schema: is nothing that JSON can express: null is no key"},
		{"empty", `"": 1`, `"": unknown key` + known},
		{"a list", "? [a]\n: 1\n", "?: a list or a mapping is no key, at line 1"},
		{"two lines", `"a\nb\0\e\u00e9": 1`, `a\nb\x00\x1bé: unknown key` + known},
		{"our own delimiter", `"delivery\0timeout": 1s`, `delivery\x00timeout: unknown key` + known},
		{"octal or decimal", "delivery: {concurrency: 0100, concurrency_per_subscription: -0_7}",
			`delivery.concurrency: 0100 is octal to some programs and decimal to others: leave out the leading 0
delivery.concurrency_per_subscription: -0_7 is octal to some programs and decimal to others: leave out the leading 0`},
		{"no mapping to merge", "delivery: {<<: 5}", "delivery.<<: takes over the keys of a mapping, and this is none"},
		{"itself", "delivery: &d {<<: *d, timeout: *d}", "delivery.timeout: is not usable: anchor 'd' value contains itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(write(t, tt.text))
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestBadDocuments(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"first line", "a: b: c", "is not YAML: line 1: mapping values are not allowed in this context"},
		{"second line", "a: 1\nb: c: d\n", "is not YAML: line 2: mapping values are not allowed in this context"},
		{"no line known", "a: *b", "is not YAML: unknown anchor 'b' referenced"},
		{"two documents", "retention: 1h\n---\nretention: 2h\n", "holds a second document, from line 2: only one can be read"},
		{"an empty second", "---\nretention: 1h\n---\n", "holds a second document, from line 3: only one can be read"},
		{"a bad second", "retention: 1h\n---\na: b: c\n", "is not YAML: line 3: mapping values are not allowed in this context"},
		{"a list", "- a\n", "must hold keys and values, such as `database:`"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, tt.text)
			_, err := Load(path)
			require.EqualError(t, err, path+" "+tt.want)
		})
	}
	_, err := Load(write(t, "---\nretention: 1h\n...\n# The end.\n"))
	require.NoError(t, err)
}
