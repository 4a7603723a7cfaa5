package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

func TestSubscriptions(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	require.Equal(t, "Nobody is subscribed yet. To add a subscription:\n"+
		"  relay subscriptions add --url https://example.com/hooks --event-types '*'\n", did(t, "subscriptions", "list"))
	require.Empty(t, did(t, "subscriptions", "list", "--json"))

	added := did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1/hook", "--event-types", "user.*,order.paid",
		"--header", "Authorization: Bearer abc")
	id := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions")
	secret := pgtest.Value[string](t, db, "SELECT secret FROM outbox.subscriptions")
	require.Equal(t, "Added subscription crm.\n\nid           "+id+"\ntenant       default\nurl          https://192.0.3.1/hook\n"+
		"event types  user.*, order.paid\nsecret       "+secret+"\n\n"+
		"The secret is not shown again. The receiver needs it to verify the signatures.\n", added)

	list := did(t, "subscriptions", "list")
	require.Equal(t, []string{
		"NAME  URL                     EVENT TYPES         STATE   ID",
		"crm   https://192.0.3.1/hook  user.*, order.paid  active  " + id,
	}, strings.Split(strings.TrimSpace(list), "\n"))
	rows := jsonLines[outbox.Subscription](t, did(t, "subscriptions", "list", "--json"))
	require.Len(t, rows, 1)
	require.Equal(t, id, rows[0].ID.String())
	require.Equal(t, map[string]string{"Authorization": "…"}, rows[0].Headers, "what they say is mostly a secret")
	require.NotContains(t, list+did(t, "subscriptions", "list", "--json"), secret[len("whsec_"):], "never shown again")

	require.Equal(t, "Subscription crm is off now. What was not sent to it yet is cancelled.\n", did(t, "subscriptions", "disable", "crm"))
	require.Contains(t, did(t, "subs", "list"), "  off ")
	require.Equal(t, "Subscription crm is off already.\n", did(t, "subscriptions", "disable", id))
	require.Equal(t, "Subscription crm is on now, for the events from now on.\n", did(t, "subscriptions", "enable", strings.ToUpper(id)))
	require.Equal(t, "Subscription crm is on already.\n", did(t, "subscriptions", "enable", "crm"))

	rotated := did(t, "subscriptions", "rotate", "crm", "--overlap", "1h")
	fresh := pgtest.Value[string](t, db, "SELECT secret FROM outbox.subscriptions")
	require.NotEqual(t, secret, fresh)
	require.Contains(t, rotated, "Subscription crm has a new secret.\n\nsecret      "+fresh+"\nold secret  signs as well until ")
	require.Equal(t, secret, pgtest.Value[string](t, db, "SELECT previous_secret FROM outbox.subscriptions"))
	left := pgtest.Value[time.Duration](t, db, "SELECT previous_secret_expires_at - now() FROM outbox.subscriptions")
	require.InDelta(t, time.Hour, left, float64(time.Minute))
	require.Contains(t, did(t, "subscriptions", "rotate", "crm", "--overlap", "0"), "\nold secret  ended at once\n")
	require.Zero(t, pgtest.Value[int](t, db, "SELECT count(previous_secret) FROM outbox.subscriptions"))

	require.Equal(t, "Removed subscription crm. What was not sent to it yet is cancelled.\n", did(t, "subscriptions", "remove", "crm"))
	require.Zero(t, pgtest.Value[int](t, db, "SELECT count(*) FROM outbox.subscriptions"))
	for _, verb := range []string{"remove", "enable", "disable", "rotate"} {
		require.Equal(t, "relay: no subscription \"crm\"; `relay subscriptions list` shows those there are\n",
			refused(t, exitFailed, "subscriptions", verb, "crm"))
	}
}

func TestSubscriptionSecretInJSON(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	given := "whsec_" + strings.Repeat("QUJD", 8)
	added := jsonLines[outbox.Subscription](t, did(t, "subscriptions", "add", "--url", "https://192.0.3.1/", "--event-types", "*",
		"--tenant", "acme", "--secret", given, "--json"))
	require.Len(t, added, 1)
	require.Equal(t, given, added[0].Secret)
	require.Equal(t, "acme", added[0].Tenant)
	require.Nil(t, added[0].Name)

	out := did(t, "subscriptions", "rotate", added[0].ID.String(), "--json")
	rotated := jsonLines[outbox.Subscription](t, out)
	require.Equal(t, pgtest.Value[string](t, db, "SELECT secret FROM outbox.subscriptions"), rotated[0].Secret)
	require.NotContains(t, out, given, "the old one was shown once already")
}

func TestSubscriptionsThatTheTableRefuses(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	did(t, "subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.1/", "--event-types", "*")
	for _, c := range []struct {
		code  int
		flags []string
		says  string
	}{
		{exitUsage, []string{"--url", "ftp://example.com"}, "--url: must begin with http:// or https://"},
		{exitUsage, []string{"--url", "https://u:s3cr3t@example.com"}, "--url: must have no user or password: put credentials into headers"},
		{exitUsage, []string{"--url", "https://example.com:99999/s3cr3t"}, "--url: has a port that is not between 1 and 65535"},
		{exitUsage, []string{"--url", "https://example.com/a b"}, "--url: must have no spaces or invisible characters: write %20 for a space"},
		{exitUsage, []string{"--tenant", strings.Repeat("x", 2001)}, "--tenant: cannot have more than 2000 bytes"},
		{exitUsage, []string{"--event-types", "user.*.x"}, "--event-types: each must be an event type (user.invited), everything under a name (user.*) or *"},
		{exitUsage, []string{"--secret", "s3cr3t"}, "--secret: must be whsec_ and the base64 of 24 to 64 bytes; leave it out for a random one"},
		{exitUsage, []string{"--header", "Webhook-Id: s3cr3t"}, "--header: a name is letters, digits and -, a value has no control characters, " +
			"and the relay's own (content-type, user-agent, webhook-…) cannot be replaced"},
		{exitFailed, []string{"--name", "crm"}, "a subscription named crm is there already in tenant default"},
	} {
		line := []string{"subscriptions", "add", "--url", "https://192.0.3.1/", "--event-types", "x"}
		for i, word := range line {
			if word == c.flags[0] {
				line = append(line[:i:i], line[i+2:]...)
				break
			}
		}
		require.Equal(t, "relay: "+c.says+"\n", refused(t, c.code, append(line, c.flags...)...))
	}
	require.Equal(t, "relay: --url: has a port that is not between 1 and 65535\n", refused(t, exitUsage, "subscriptions", "set", "crm", "--url", "https://a:0"))
	require.Contains(t, refused(t, exitUsage, "subscriptions", "rotate", "crm", "--secret", "s3cr3t"), "--secret: must be whsec_")
	require.Equal(t, "relay: --overlap -1s: must not be negative\n", refused(t, exitUsage, "subscriptions", "rotate", "crm", "--overlap", "-1s"))
	require.Equal(t, 1, pgtest.Value[int](t, db, "SELECT count(*) FROM outbox.subscriptions"))
}

func TestSubscriptionNamesOfSeveralTenants(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	for _, tenant := range []string{"acme", "globex"} {
		did(t, "subscriptions", "add", "--name", "crm", "--tenant", tenant, "--url", "https://192.0.3.1/", "--event-types", "*")
	}
	acme := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions WHERE tenant = 'acme'")
	globex := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions WHERE tenant = 'globex'")
	for _, line := range []string{"test", "subscriptions remove", "subscriptions disable", "subscriptions rotate"} {
		require.Equal(t, "relay: \"crm\" fits several subscriptions: crm (tenant acme, id "+acme+"), crm (tenant globex, id "+globex+
			"); give --tenant or the id\n", refused(t, exitUsage, append(strings.Fields(line), "crm")...))
	}
	require.Equal(t, "Nobody is subscribed in tenant \"nope\". `relay subscriptions list` shows those of all tenants.\n",
		did(t, "subscriptions", "list", "--tenant", "nope"))
	require.Contains(t, did(t, "subscriptions", "list"), "TENANT")
	require.NotContains(t, did(t, "subscriptions", "list", "--tenant", "acme"), "globex")
	did(t, "subscriptions", "remove", "crm", "--tenant", "globex")
	require.Equal(t, acme, pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions"))
	require.Contains(t, refused(t, exitFailed, "subscriptions", "remove", "crm", "--tenant", "globex"), `no subscription "crm" in tenant "globex"`)
}

func TestSubscriptionsOfOneURL(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	const url = "https://192.0.3.1/"
	did(t, "subscriptions", "add", "--name", "crm", "--url", url, "--event-types", "*")
	did(t, "subscriptions", "add", "--url", url, "--event-types", "*")
	crm := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions WHERE name = 'crm'")
	unnamed := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions WHERE name IS NULL")
	said := refused(t, exitUsage, "test", url)
	require.True(t, strings.HasSuffix(said, "; give the id\n"), "they are of one tenant: %s", said)
	require.Contains(t, said, "crm (id "+crm+")")
	require.Equal(t, 1, strings.Count(said, unnamed))
	require.NotContains(t, said, "tenant")
}

// Whoever subscribes a URL that nothing will reach should hear of it at once, and have the subscription all the same.
func TestSubscriptionOfARefusedURL(t *testing.T) {
	db := on(t, pgtest.Migrated(t))
	s := do("subscriptions", "add", "--url", "http://10.1.2.3/", "--event-types", "*")
	require.Equal(t, exitDone, s.code)
	require.Equal(t, "relay: warning: 10.1.2.3 is refused: private network, not in network.allow; "+
		"add the network to network.allow, such as 10.1.2.3/32\n", s.err)
	require.Equal(t, 1, pgtest.Value[int](t, db, "SELECT count(*) FROM outbox.subscriptions"))
}

func TestDeclaredSubscriptionsBelongToTheFile(t *testing.T) {
	on(t, pgtest.URL(t))
	require.NoError(t, os.WriteFile("relay.yaml", []byte("subscriptions:\n  - {name: crm, url: 'https://192.0.3.1/', event_types: ['*'], secret: whsec_"+
		strings.Repeat("QUJD", 8)+"}\n"), 0o600))
	did(t, "init")
	require.Equal(t, "relay: relay.yaml gives the secret of crm, and would bring it back at the next start: change it there\n",
		refused(t, exitFailed, "subscriptions", "rotate", "crm"))
	for _, verb := range [][2]string{{"disable", "switches it on again"}, {"remove", "makes it again"}} { // In this order.
		require.Equal(t, "relay: warning: relay.yaml declares crm: the next start "+verb[1]+"; take it out there\n", do("subscriptions", verb[0], "crm").err)
	}
	require.Equal(t, "relay: warning: relay.yaml declares crm: the next start changes it to what stands there; take it out there\n",
		do("subscriptions", "add", "--name", "crm", "--url", "https://192.0.3.2/", "--event-types", "*").err)
}

// Run in another folder, without the file, `relay init` leaves alone what the file declared; with another file it says what
// it switches off.
func TestDeclaredSubscriptionsOutlastAnotherFolder(t *testing.T) {
	db := on(t, pgtest.URL(t))
	require.NoError(t, os.WriteFile("relay.yaml", []byte("subscriptions: [{name: prod, url: 'https://192.0.3.1/', event_types: ['*']}]\n"+
		"event_types: [{type: a, sample: '1'}]\n"), 0o600))
	did(t, "init")
	declared := func() []string {
		return pgtest.Values[string](t, db, `SELECT name FROM outbox.subscriptions WHERE active UNION ALL SELECT type FROM outbox.event_types`)
	}
	t.Chdir(t.TempDir())
	s := do("init")
	require.Equal(t, exitDone, s.code, s.err)
	require.Empty(t, s.err)
	require.Equal(t, []string{"prod", "a"}, declared())

	require.NoError(t, os.WriteFile("relay.yaml", []byte("retention: 1h\n"), 0o600))
	require.Contains(t, do("check").out, "\nwarning  subscription prod: was declared before and is not in this")
	s = do("init")
	require.Equal(t, exitDone, s.code, s.err)
	require.Contains(t, s.err, `level=WARN msg="switched off a subscription that was declared before and is not in this configuration" subscription=prod tenant=default`)
	require.Empty(t, declared())
}
