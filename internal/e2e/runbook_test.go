package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// Every relay command and every statement of the runbook runs.
func TestTheRunbookRuns(t *testing.T) {
	text, err := os.ReadFile("../../docs/runbook.md")
	require.NoError(t, err)
	var commands, teardowns [][]string
	for block := range strings.SplitSeq(string(text), "```sh\n") {
		for line := range strings.Lines(strings.SplitN(block, "\n```", 2)[0]) {
			line, _, _ = strings.Cut(line, "#")
			switch arg := strings.Fields(line); {
			case len(arg) < 2 || arg[0] != "relay":
			case arg[1] == "teardown":
				teardowns = append(teardowns, append(arg[1:], "--yes"))
			default:
				commands = append(commands, arg[1:])
			}
		}
	}
	require.Greater(t, len(commands), 15)
	require.Len(t, teardowns, 3)

	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('crm', $1, '{*}')`, r.URL())
	environment := append(naming(url, slot), "RELAY_NETWORK_ALLOW=127.0.0.0/8",
		`RELAY_EVENT_TYPES=[{type: user.invited, sample: '{"n": 1}'}]`)
	relay := start(t, url, slot, environment...)
	emit(t, db, "a")
	await(t, "delivered", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == 1
	})
	delivery := pgtest.Value[string](t, db, `SELECT id::text FROM outbox.deliveries`)
	run := func(arg []string) {
		t.Helper()
		for i := range arg {
			arg[i] = strings.Trim(strings.NewReplacer("DELIVERY", delivery, "https://staging.example.com/hooks", r.URL()).Replace(arg[i]), "'")
		}
		out, code := command(t, environment, arg...)
		require.Zero(t, code, "relay %s: %s", strings.Join(arg, " "), out)
	}
	for _, arg := range commands {
		run(arg)
	}
	relay.stop()

	version := pgtest.Value[int](t, db, `SELECT current_setting('server_version_num')::int`)
	statements := regexp.MustCompile(`psql(?: -\w \w+)* -c "([^"]+)"`).FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(statements), 6)
	for _, s := range statements {
		if version < 170000 && strings.Contains(s[1], "synced") {
			continue // Said to be of 17 and later.
		}
		pgtest.Execute(t, db, strings.ReplaceAll(s[1], "'relay'", "'"+slot+"'"))
	}
	pgtest.Execute(t, db, `UPDATE outbox.relay_home SET system_identifier = (SELECT system_identifier::text FROM pg_control_system())`)
	relay = start(t, url, slot, environment...)
	relay.stop()
	for _, arg := range teardowns {
		run(arg)
	}
	require.False(t, pgtest.Value[bool](t, db, `SELECT to_regnamespace('outbox') IS NOT NULL`))
}
