package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
	"github.com/outboxrelay/relay/outbox"
)

func TestSubscriptionLimits(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	added := did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1/", "--event-types", "*",
		"--rate", "2.5", "--concurrency", "4", "--timeout", "1m30s")
	require.Contains(t, added, "limits       2.5/s, 4 at once, 1m30s\n")
	require.Equal(t, "2.5|4|00:01:30", pgtest.Value[string](t, db, "SELECT concat_ws('|', rate, concurrency, timeout) FROM outbox.subscriptions"))
	require.Regexp(t, `LIMITS +ID\ncrm .* active +2.5/s, 4 at once, 1m30s `, did(t, "subscriptions", "list"))
	row := jsonLines[outbox.Subscription](t, did(t, "subscriptions", "list", "--json"))[0]
	require.Equal(t, 90*time.Second, *row.Timeout)

	require.Equal(t, "Changed subscription crm.\n\nlimits  2.5/s, 4 at once, 1m30s → 4 at once, 500ms\n",
		did(t, "subscriptions", "set", "crm", "--rate", "", "--timeout", "500ms"))
	require.Equal(t, "4|00:00:00.5", pgtest.Value[string](t, db, "SELECT concat_ws('|', rate, concurrency, timeout) FROM outbox.subscriptions"))
	require.Contains(t, did(t, "subscriptions", "add", "--json", "--url", "https://192.0.3.1/", "--event-types", "*", "--timeout", "2s"),
		`"timeout":"2s"`)
}

func TestSubscriptionsSet(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1/", "--event-types", "user.*",
		"--header", "X-Team: 7", "--header", "Authorization: Bearer s3cret", "--rate", "1")
	others := func() string {
		return pgtest.Value[string](t, db, "SELECT row_to_json(s)::jsonb - '{updated_at,url,event_types}'::text[] FROM outbox.subscriptions AS s")
	}
	before := others()

	require.Equal(t, "Changed subscription crm.\n\nurl          https://192.0.3.1/ → https://192.0.3.2/x\nevent types  user.* → a, b.*\n",
		did(t, "subscriptions", "set", "https://192.0.3.1/", "--url", "https://192.0.3.2/x", "--event-types", "a,b.*"))
	require.Equal(t, before, others(), "all else stays")
	require.Equal(t, "Subscription crm is so already.\n", did(t, "subscriptions", "set", "crm", "--rate", "1.0", "--event-types", "a,b.*"))

	said := did(t, "subscriptions", "set", "crm", "--header", "x-team: 8", "--header", "X-New: 1")
	require.Equal(t, "Changed subscription crm.\n\nheaders  Authorization, X-New, x-team\n", said)
	require.JSONEq(t, `{"Authorization": "Bearer s3cret", "X-New": "1", "x-team": "8"}`,
		pgtest.Value[string](t, db, "SELECT headers::text FROM outbox.subscriptions"))
	did(t, "subscriptions", "set", "crm", "--header", "AUTHORIZATION:")
	require.JSONEq(t, `{"X-New": "1", "x-team": "8"}`, pgtest.Value[string](t, db, "SELECT headers::text FROM outbox.subscriptions"))
	require.Contains(t, did(t, "subscriptions", "set", "crm", "--header", ""), "headers  none\n")

	require.Contains(t, did(t, "subscriptions", "set", "crm", "--name", "erp"), "name  crm → erp\n")
	asJSON := did(t, "subscriptions", "set", "erp", "--name", "", "--header", "A: b3arer", "--json")
	require.NotContains(t, asJSON, "whsec_")
	require.NotContains(t, asJSON, "b3arer")
	require.Nil(t, jsonLines[outbox.Subscription](t, asJSON)[0].Name)
}

func TestSubscriptionsSetRefuses(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1/", "--event-types", "*")
	did(t, "subscriptions", "add", "--name", "erp", "--url", "https://192.0.3.1/", "--event-types", "*")
	state := "SELECT string_agg(row_to_json(s)::text, ',' ORDER BY name) FROM outbox.subscriptions AS s"
	before := pgtest.Value[string](t, db, state)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"crm", exitUsage, "nothing to change: name it with --url"},
		{"crm --url=", exitUsage, "--url: cannot be empty"},
		{"crm --url=ftp://x", exitUsage, "--url: must begin with http://"},
		{"crm --event-types=", exitUsage, "--event-types: cannot be empty"},
		{"crm --event-types=a..b", exitUsage, "--event-types: each must be"},
		{"crm --rate=0", exitUsage, `--rate "0": must be 0.001 to 100000`},
		{"crm --rate=NaN", exitUsage, `--rate "NaN": must be`},
		{"crm --rate=5/s", exitUsage, `--rate "5/s": must be`},
		{"crm --concurrency=0", exitUsage, `--concurrency "0": must be 1 to 10000`},
		{"crm --concurrency=2.5", exitUsage, `--concurrency "2.5": must be`},
		{"crm --timeout=5", exitUsage, `--timeout "5": must be 1ms to 1h`},
		{"crm --timeout=2h", exitUsage, `--timeout "2h": must be`},
		{"crm --header=nonsense", exitUsage, "--header number 1: write 'Name: value'"},
		{"crm --header=Webhook-Id:1", exitUsage, "--header: a name is letters"},
		{"crm --name=erp", exitFailed, "a subscription named erp is there already in tenant default"},
		{"crm --rate=1 --url=ftp://x", exitUsage, "--url: must begin with http://"},
		{"nobody --rate=1", exitFailed, `no subscription "nobody"`},
		{"https://192.0.3.1/ --rate=1", exitUsage, `"https://192.0.3.1/" fits several subscriptions`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			said := refused(t, tt.code, append([]string{"subscriptions", "set"}, strings.Fields(tt.args)...)...)
			require.Contains(t, said, "relay: "+tt.want, tt.args)
			require.Equal(t, before, pgtest.Value[string](t, db, state))
		})
	}
}

func TestDeclaredSubscriptionsAreNotSet(t *testing.T) {
	db := on(t, pgtest.URL(t))
	declare(t, "subscriptions: [{name: crm, url: 'https://192.0.3.1/', event_types: [a], rate: 2, concurrency: 3, timeout: 4s}]")
	did(t, "init")
	limits := "SELECT concat_ws('|', rate, concurrency, timeout) FROM outbox.subscriptions"
	require.Equal(t, "2|3|00:00:04", pgtest.Value[string](t, db, limits))
	require.Contains(t, refused(t, exitFailed, "subscriptions", "set", "crm", "--rate", "9"),
		"relay: relay.yaml declares crm, and would undo the change at the next start: change it there")
	require.Equal(t, "2|3|00:00:04", pgtest.Value[string](t, db, limits))

	pgtest.Execute(t, db, "UPDATE outbox.subscriptions SET rate = 9, timeout = NULL")
	did(t, "init")
	require.Equal(t, "2|3|00:00:04", pgtest.Value[string](t, db, limits), "the file wins")
	row := "SELECT xmin::text FROM outbox.subscriptions"
	written := pgtest.Value[string](t, db, row)
	did(t, "init")
	require.Equal(t, written, pgtest.Value[string](t, db, row), "what is right already is not written")

	declare(t, "subscriptions: [{name: crm, url: 'https://192.0.3.1/', event_types: [a]}]")
	did(t, "init")
	require.Empty(t, pgtest.Value[string](t, db, limits), "limits that are no longer declared are gone")
}

func TestListSaysWhyASubscriptionIsOff(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1/", "--event-types", "*")
	require.NotContains(t, did(t, "subscriptions", "list"), "is off")
	pgtest.Execute(t, db, "UPDATE outbox.subscriptions SET active = false, disabled_reason = 'answered 410 Gone'")
	require.Regexp(t, `\n\ncrm is off since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: answered 410 Gone\n$`, did(t, "subscriptions", "list"))
	did(t, "subscriptions", "enable", "crm")
	require.NotContains(t, did(t, "subscriptions", "list"), "is off")
}

// While a rotation lasts, receivers find a signature of either secret, the new one first (Standard Webhooks).
func TestRotationSignsTwice(t *testing.T) {
	db, r := on(t, pgtest.Migrated(t)), receiver.New(t, nil)
	did(t, "subscriptions", "add", "--name", "crm", "--url", r.URL(), "--event-types", "*")
	secret := func() string { return pgtest.Value[string](t, db, "SELECT secret FROM outbox.subscriptions") }
	first := secret()
	did(t, "subscriptions", "rotate", "crm")
	second := secret()
	require.InDelta(t, 24*time.Hour, pgtest.Value[time.Duration](t, db, "SELECT previous_secret_expires_at - now() FROM outbox.subscriptions"),
		float64(patience), "a day by default")

	signatures := func() []string {
		did(t, "test", "crm")
		return strings.Split(r.Requests()[r.Len()-1].Header.Get("Webhook-Signature"), " ")
	}
	last := func() receiver.Request { return r.Requests()[r.Len()-1] }
	both := signatures()
	require.Len(t, both, 2)
	require.NoError(t, last().Verify(first))
	require.NoError(t, last().Verify(second))
	newest := last()
	newest.Header = newest.Header.Clone()
	newest.Header.Set("Webhook-Signature", both[0])
	require.NoError(t, newest.Verify(second), "the newest first")
	require.Error(t, newest.Verify(first))

	s := do("subscriptions", "rotate", "crm")
	require.Regexp(t, `^relay: note: the secret before the last signed until .*: it does no longer, since two sign at most\n$`, s.err)
	require.Len(t, signatures(), 2)
	require.Error(t, last().Verify(first))
	require.NoError(t, last().Verify(second))

	did(t, "subscriptions", "rotate", "crm", "--overlap", "0")
	require.Len(t, signatures(), 1)
	require.Contains(t, refused(t, exitUsage, "subscriptions", "rotate", "crm", "--secret", secret()), "--secret: is the one that crm has already")
}
