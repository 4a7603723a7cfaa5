package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

func declare(t *testing.T, relayYAML string) {
	t.Helper()
	require.NoError(t, os.WriteFile("relay.yaml", []byte(relayYAML), 0o600))
}

func TestDocsReadTheDatabase(t *testing.T) {
	db := on(t, pgtest.URL(t))
	declare(t, catalogue)
	before := do("docs")
	require.Equal(t, exitDone, before.code)
	require.Equal(t, "relay: note: the database has no catalogue yet (`relay init` makes it): these are the event types of relay.yaml\n", before.err)

	did(t, "init")
	after := do("docs")
	require.Equal(t, before.out, after.out)
	require.Empty(t, after.err, "nothing to note once both say the same")
	require.True(t, pgtest.Value[bool](t, db, `SELECT sample::text = '{"email": "ada@example.com",  "n": 1.0}'
		FROM outbox.event_types WHERE type = 'user.invited'`), "byte for byte")

	pgtest.Execute(t, db, `INSERT INTO outbox.event_types (type, description, sample, schema)
		VALUES ('made.by.hand', 'By SQL.', '{"a":  1}', '{"type": "object"}')`)
	require.Contains(t, did(t, "docs"), "made.by.hand\n  By SQL.\n\n    {\"a\":  1}\n\n  schema\n    {\n      \"type\": \"object\"\n    }\n")
	types := jsonLines[struct {
		Type   string
		Schema json.RawMessage
	}](t, did(t, "docs", "--json"))
	require.Len(t, types, 3)
	require.JSONEq(t, `{"type": "object"}`, string(types[0].Schema))
	require.Equal(t, "null", string(types[1].Schema))
}

func TestTheCatalogueFollowsTheFile(t *testing.T) {
	db := on(t, pgtest.URL(t))
	declare(t, catalogue)
	did(t, "init")
	pgtest.Execute(t, db, `INSERT INTO outbox.event_types (type, description, sample) VALUES ('a.mine', '', '1'), ('b.mine', '', '2')`)
	unchanged := "SELECT array_agg(xmin::text ORDER BY type) FROM outbox.event_types"
	rows := pgtest.Value[[]string](t, db, unchanged)
	did(t, "init")
	require.Equal(t, rows, pgtest.Value[[]string](t, db, unchanged), "what is right already is not written")

	declare(t, `event_types:
  - {type: user.invited, sample: '{"email": "bob@example.com"}', schema: {required: [email]}}
  - {type: b.mine, description: Now declared., sample: '3'}
`)
	s := do("docs")
	require.Equal(t, "relay: note: relay.yaml's b.mine, user.invited are not what the database has: `relay run` or `relay init` brings it up to date\n", s.err)
	require.Contains(t, s.out, "b.mine\n  Now declared.\n\n    3\n")
	require.Contains(t, s.out, "bob@example.com")
	require.Contains(t, s.out, "order.paid", "what the file does not name is the database's")

	did(t, "init")
	require.Equal(t, []string{"a.mine|1||false", "b.mine|3||true", "user.invited|{\"email\": \"bob@example.com\"}|{\n  \"required\": [\n    \"email\"\n  ]\n}|true"},
		pgtest.Value[[]string](t, db, `SELECT array_agg(concat_ws('|', type, sample, coalesce(schema::text, ''), declared::text) ORDER BY type)
		  FROM outbox.event_types`))

	declare(t, "")
	did(t, "init")
	require.Equal(t, []string{"a.mine"}, pgtest.Value[[]string](t, db, "SELECT array_agg(type) FROM outbox.event_types"))
}

func TestTheFileIsLaidOverTheDatabase(t *testing.T) {
	on(t, pgtest.Migrated(t))
	r := receiver.New(t, nil)
	declare(t, catalogue)
	did(t, "init")
	declare(t, catalogue+"  - {type: a.new, description: New., sample: '{\"new\": 1}'}\n")
	const note = "relay: note: relay.yaml's a.new is not in the database yet: `relay run` or `relay init` brings it up to date\n"
	s := do("docs")
	require.Equal(t, note, s.err)
	require.Equal(t, "a.new\n  New.\n\n    {\"new\": 1}\n\n"+did(t, "docs", "--config", writeFile(t, catalogue)), s.out)
	require.Len(t, jsonLines[map[string]any](t, did(t, "docs", "--json")), 3)

	s = do("test", r.URL())
	require.Equal(t, note, s.err)
	require.Contains(t, s.out, "(a.new)\n")
	require.Contains(t, string(r.Requests()[0].Body), `"data":{"new": 1}`)
}

func TestDocsNeedNoDatabase(t *testing.T) {
	inEmptyFolder(t, catalogue)
	s := do("docs", "--json")
	require.Equal(t, exitDone, s.code)
	require.Equal(t, "relay: note: no database is configured: these are the event types of relay.yaml\n", s.err)
	require.Equal(t, 2, strings.Count(s.out, "\n"))
}

func TestBadSchemaIsAFaultOfTheFile(t *testing.T) {
	inEmptyFolder(t, "event_types: [{type: a, sample: '{\"n\": \"1\"}', schema: {properties: {n: {type: number}}}}]")
	require.Equal(t, "relay: event_types[0].sample: does not satisfy its schema: at /n: got string, want number\n",
		refused(t, exitUsage, "docs"))
}

// The catalogue documents; it does not restrict.
func TestAnEventOfAnUnknownTypeIsDelivered(t *testing.T) {
	db := on(t, pgtest.URL(t))
	t.Setenv("RELAY_HTTP_LISTEN", "127.0.0.1:0")
	declare(t, catalogue)
	r := receiver.New(t, nil)
	did(t, "init")
	did(t, "subscriptions", "add", "--url", r.URL(), "--event-types", "*")
	p := start(t, "run")
	awaitReady(t, p.listensOn())
	pgtest.Execute(t, db, `SELECT outbox.emit('never.heard.of', '{"x":  1}')`)
	require.Contains(t, string(r.WaitFor(1)[0].Body), `"type":"never.heard.of"`)
}
