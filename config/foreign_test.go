package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownVariables(t *testing.T) {
	tests := []struct{ name, want string }{
		{"RELAY_DATABSE_URL", "RELAY_DATABSE_URL: no key has this name; the nearest is RELAY_DATABASE_URL"},
		{"RELAY_DELIVRY_TIMEOUT", "RELAY_DELIVRY_TIMEOUT: no key has this name; the nearest is RELAY_DELIVERY_TIMEOUT"},
		{"RELAY_DELIVERYTIMEOUT", "RELAY_DELIVERYTIMEOUT: no key has this name; the nearest is RELAY_DELIVERY_TIMEOUT"},
		{"RELAY_RETENTON", "RELAY_RETENTON: no key has this name; the nearest is RELAY_RETENTION"},
		{"RELAY_EVENT_TYPE", "RELAY_EVENT_TYPE: no key has this name; the nearest is RELAY_EVENT_TYPES"},
		{"RELAY_HTPT_LISTEN", "RELAY_HTPT_LISTEN: no key has this name; the nearest is RELAY_HTTP_LISTEN"},
		{"RELAY_delivery_timeout", "RELAY_delivery_timeout: no key has this name; the nearest is RELAY_DELIVERY_TIMEOUT"},
		{"relay_delivery_timeout", "relay_delivery_timeout: no key has this name; the nearest is RELAY_DELIVERY_TIMEOUT"},
		{"RELAY_DELIVRY_FOO", "RELAY_DELIVRY_FOO: no key has this name; the nearest is RELAY_DELIVERY_…"},
		{"RELAY_DELIVRY", "RELAY_DELIVRY: no key has this name; the nearest is RELAY_DELIVERY_…"},
		{"RELAY_EVENT_TYPE_FILE", "RELAY_EVENT_TYPE_FILE: no key has this name; the nearest is RELAY_EVENT_TYPES"},
		{"RELAY_DELIVERY_FOO", "RELAY_DELIVERY_FOO: no key has this name"},
		{"RELAY_HTTP_PORT", "RELAY_HTTP_PORT: no key has this name"},
		{"RELAY_DATABASE", "RELAY_DATABASE: has keys below it, each with a variable of its own: RELAY_DATABASE_URL, RELAY_DATABASE_REPLICATION_URL"},
		{"RELAY_DELIVERY_RETRY", "RELAY_DELIVERY_RETRY: has keys below it, each with a variable of its own: " +
			"RELAY_DELIVERY_RETRY_MAX, RELAY_DELIVERY_RETRY_BASE, RELAY_DELIVERY_RETRY_UNIT, RELAY_DELIVERY_RETRY_EXPONENT"},
		{"RELAY_HTTP_AUTH", "RELAY_HTTP_AUTH: has keys below it, each with a variable of its own: RELAY_HTTP_AUTH_USERS, RELAY_HTTP_AUTH_TOKENS"},
		{"RELAY_REPLICATION_SLOTS_MAX", "RELAY_REPLICATION_SLOTS_MAX: no key has this name"},
		{"RELAY_NETWORK_X", "RELAY_NETWORK_X: no key has this name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv(tt.name, "x")
			_, err := Load("")
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestForeignVariables(t *testing.T) {
	tests := []struct {
		name, value string
		warnings    []string
	}{
		{"RELAY_BIN", "/usr/bin/relay", []string{"RELAY_BIN: no key has this name, so it sets nothing"}},
		{"RELAY_VERSION", "1.2.3", []string{"RELAY_VERSION: no key has this name, so it sets nothing"}},
		{"RELAY_SMTP_HOST", "mail", []string{"RELAY_SMTP_HOST: no key has this name, so it sets nothing"}},
		{"RELAY_PORT", "8080", []string{"RELAY_PORT: no key has this name, so it sets nothing"}},
		{"RELAY_", "", []string{"RELAY_: no key has this name, so it sets nothing"}},
		{"RELAYER_URL", "x", nil},
		{"RELAY_TEST_BROWSER", "x", nil},
		{"RELAY_SERVICE_HOST", "10.96.0.7", nil},
		{"RELAY_SERVICE_PORT", "8080", nil},
		{"RELAY_SERVICE_PORT_HTTP", "8080", nil},
		{"RELAY_PORT", "tcp://10.96.0.7:8080", nil},
		{"RELAY_PORT_8080_TCP", "tcp://10.96.0.7:8080", nil},
		{"RELAY_PORT_8080_TCP_PROTO", "tcp", nil},
		{"RELAY_PORT_8080_TCP_PORT", "8080", nil},
		{"RELAY_PORT_8080_TCP_ADDR", "10.96.0.7", nil},
		{"RELAY_HTTP_SERVICE_HOST", "10.96.0.7", nil}, // Of a Service that is called relay-http.
		{"RELAY_HTTP_PORT", "tcp://10.96.0.7:8080", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv(tt.name, tt.value)
			loaded, err := Load("")
			require.NoError(t, err)
			require.Equal(t, tt.warnings, loaded.Warnings())
		})
	}
}
