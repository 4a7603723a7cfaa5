package main

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestInitTwice(t *testing.T) {
	db := on(t, pgtest.URL(t))
	slot := os.Getenv("RELAY_REPLICATION_SLOT")
	ready := "schema outbox is in place\npublication " + slot + " is in place\nreplication slot " + slot + " is in place\n\n" +
		"Ready: `relay run` delivers what is inserted into outbox.events.\n"
	require.Equal(t, ready, did(t, "init"))
	lsn := pgtest.Value[string](t, db, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", slot)
	require.Equal(t, ready, did(t, "init"))
	require.Equal(t, lsn, pgtest.Value[string](t, db, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = $1", slot),
		"the slot was left as it is")
	require.Equal(t, 1, pgtest.Value[int](t, db, "SELECT count(*) FROM pg_publication WHERE pubname = $1", slot))
}

func TestInitDeclaresSubscriptions(t *testing.T) {
	db := on(t, pgtest.URL(t))
	require.NoError(t, os.WriteFile("relay.yaml", []byte(`
subscriptions:
  - {name: crm, url: https://crm.example.com/hooks, event_types: [user.*]}
  - {name: erp, url: https://erp.example.com/hooks, event_types: ['*']}
`), 0o600))
	require.Contains(t, did(t, "init"), "\n2 subscriptions of relay.yaml are in place\n")
	require.Equal(t, 2, pgtest.Value[int](t, db, "SELECT count(*) FROM outbox.subscriptions WHERE declared AND active"))
}

func TestInitSaysHowFarItCame(t *testing.T) {
	db := on(t, pgtest.URL(t))
	pgtest.Execute(t, db, "SELECT pg_create_physical_replication_slot($1)", os.Getenv("RELAY_REPLICATION_SLOT"))
	s := do("init")
	require.Equal(t, exitFailed, s.code)
	require.Equal(t, "schema outbox is in place\n", s.out)
	require.Contains(t, s.err, "belongs to something else")
	require.Contains(t, s.err, "; set replication.slot to a name of its own\n")
}

func TestVariablesThatSetNothing(t *testing.T) {
	on(t, pgtest.URL(t))
	t.Setenv("RELAY_TEAM_OWNER", "somebody")
	taken, err := net.Listen("tcp", "127.0.0.1:0") // So that run ends by itself.
	require.NoError(t, err)
	defer taken.Close()
	t.Setenv("RELAY_HTTP_LISTEN", taken.Addr().String())
	const warning = "RELAY_TEAM_OWNER: no key has this name, so it sets nothing"
	s := do("init")
	require.Equal(t, exitDone, s.code)
	require.Equal(t, 1, strings.Count(s.err, "\n"))
	require.Contains(t, s.err, `level=WARN msg="a variable sets nothing" reason="`+warning+`"`)
	require.Contains(t, do("run").err, `level=WARN msg="a variable sets nothing" reason="`+warning+`"`)
	s = do("check")
	require.Equal(t, exitDone, s.code)
	require.Contains(t, s.out, "warning  environment: "+warning+"\n         mend: set the key that was meant, or unset it where none was\n")
	require.Empty(t, do("log").err)
}

func TestCheck(t *testing.T) {
	on(t, pgtest.URL(t))
	s := do("check")
	require.Equal(t, exitDone, s.code, "what is not set up yet is no fault: relay run does it: %s", s.out)
	require.Contains(t, s.out, "\nwarning  schema: outbox is not there yet\n         mend: relay init   # relay run does it as well\n")
	require.Regexp(t, `\n\nno faults, 2 warnings\n$`, s.out)

	did(t, "init")
	did(t, "subscriptions", "add", "--name", "crm", "--url", "https://10.0.0.1/", "--event-types", "*")
	s = do("check")
	require.Equal(t, exitFailed, s.code)
	require.Empty(t, s.err)
	require.Contains(t, s.out, "\nFAULT    subscription crm: 10.0.0.1 is refused: private network, not in network.allow\n"+
		"         mend: add the network to network.allow, such as 10.0.0.1/32\n\n1 fault, no warnings\n")

	t.Setenv("RELAY_NETWORK_ALLOW", "10.0.0.1/32")
	require.Regexp(t, `\n\nno faults, no warnings\n$`, did(t, "check"))
	for _, i := range jsonLines[struct{ Status, Name, What string }](t, did(t, "check", "--json")) {
		require.Equal(t, "ok", i.Status)
		require.NotEmpty(t, i.Name)
		require.NotEmpty(t, i.What)
	}
}

// As the other commands do, and with nothing of what the driver tells of user and address.
func TestInitSaysWhyItCannotConnect(t *testing.T) {
	superuser := pgtest.URL(t)
	on(t, superuser)
	t.Setenv("RELAY_HTTP_LISTEN", "")
	for _, c := range []struct{ key, says string }{
		{"RELAY_DATABASE_REPLICATION_URL", `open a replication connection: database "nope" does not exist; create the database, or name another in database.replication_url`},
		{"RELAY_DATABASE_URL", `connect to the database: database "nope" does not exist; create the database, or name another in database.url`},
	} {
		t.Setenv(c.key, pgtest.Cluster(t).URL("nope"))
		for _, command := range []string{"init", "run"} {
			s := do(command)
			require.Equal(t, exitFailed, s.code)
			require.True(t, strings.HasSuffix(s.err, "relay: "+c.says+"\n"), "%s: %s", command, s.err)
		}
	}
}
