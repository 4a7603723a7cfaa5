package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// onDatabase are command lines that need a database.
var onDatabase = []string{
	"run", "init", "test crm", "log", "show 01a21224-4fe6-8aed-b930-3ef934984903", "replay 01a21224-4fe6-8aed-b930-3ef934984903",
	"subscriptions list", "subscriptions add --url https://example.com --event-types *", "subscriptions remove crm",
	"subscriptions enable crm", "subscriptions disable crm", "subscriptions rotate crm",
}

func TestBadSettings(t *testing.T) {
	inEmptyFolder(t, "")
	bad := writeFile(t, "delivery:\n  timeout: 15\n  retries: 3\nhttp:\n  listen: here\nnonsense: true\n")
	const says = `relay: delivery.retries: unknown key; known here: timeout, body, accept, retry_on, disable_on, retry, concurrency, concurrency_per_subscription
relay: delivery.timeout: 15 has no unit: write 15s, or with ms, m or h
relay: http.listen: "here" is not host:port: write 127.0.0.1:8080, or "" to switch it off
relay: nonsense: unknown key; known here: database, replication, delivery, network, http, retention, event_types, subscriptions
`
	for _, line := range append([]string{"check", "docs"}, onDatabase...) {
		t.Run(line, func(t *testing.T) {
			require.Equal(t, says, refused(t, exitUsage, append(strings.Fields(line), "--config", bad)...))
			require.Equal(t, "relay: /nowhere/relay.yaml cannot be read: no such file or directory\n",
				refused(t, exitUsage, append(strings.Fields(line), "--config", "/nowhere/relay.yaml")...))
		})
	}
}

func TestBadValuesNameTheirKeys(t *testing.T) {
	inEmptyFolder(t, "http:\n  listen: here\nnetwork:\n  allow: [10.0.0.1]\n")
	t.Setenv("RELAY_DELIVERY_CONCURRENCY", "0")
	said := refused(t, exitUsage, "docs")
	require.Len(t, strings.Split(strings.TrimSpace(said), "\n"), 3, said)
	for _, key := range []string{"relay: http.listen: ", "relay: network.allow[0]: ", "relay: delivery.concurrency (RELAY_DELIVERY_CONCURRENCY): "} {
		require.Contains(t, said, key)
	}
	t.Setenv("RELAY_DATABSE_URL", "x")
	require.Contains(t, refused(t, exitUsage, "docs"), "relay: RELAY_DATABSE_URL: no key has this name; the nearest is RELAY_DATABASE_URL\n")
}

// Without a URL the driver would go to whatever server there is on this machine.
func TestDatabaseIsNeeded(t *testing.T) {
	inEmptyFolder(t, "")
	for _, line := range onDatabase {
		require.Equal(t, "relay: database.url: missing: set it in relay.yaml, or RELAY_DATABASE_URL=postgres://user:password@host:5432/database\n",
			refused(t, exitUsage, strings.Fields(line)...), line)
	}
	s := do("check")
	require.Equal(t, exitFailed, s.code)
	require.Contains(t, s.out, "FAULT    connection: no database is configured\n")
}

func TestDatabaseThatIsNotThere(t *testing.T) {
	inEmptyFolder(t, "")
	t.Setenv("RELAY_DATABASE_URL", "postgres://u:s3cr3t@127.0.0.1:1/app")
	for _, line := range onDatabase[2:] { // run and init wait for it.
		require.Equal(t, "relay: cannot connect to the database: nothing listens there: connection refused; "+
			"start the server, or correct host and port in database.url\n", refused(t, exitFailed, strings.Fields(line)...), line)
	}
}
