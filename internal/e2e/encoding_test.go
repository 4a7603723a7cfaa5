package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

// encoded is the address of a fresh database of an encoding.
func encoded(t *testing.T, encoding string) string {
	t.Helper()
	address := pgtest.URL(t)
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	name := path.Base(parsed.Path)
	admin := pgtest.Pool(t, pgtest.Cluster(t).URL("postgres"))
	pgtest.Execute(t, admin, "DROP DATABASE "+name)
	pgtest.Execute(t, admin, "CREATE DATABASE "+name+" ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	return address
}

// A database that is not in UTF-8 is relayed as any other: receivers get UTF-8, and the log has what its encoding can express.
func TestADatabaseInLatin1(t *testing.T) {
	address, slot := encoded(t, "LATIN1"), pgtest.Slot(t)
	config, err := pgx.ParseConfig(address)
	require.NoError(t, err)
	config.RuntimeParams["client_encoding"] = "UTF8"

	r := receiver.New(t, nil)
	r.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, "merci, Zoë ✓")
	}))
	start(t, address, slot)
	db, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	defer db.Close(context.Background())
	query := func(dest any, sql string, args ...any) {
		t.Helper()
		require.NoError(t, db.QueryRow(context.Background(), sql, args...).Scan(dest))
	}
	var id string
	query(&id, `INSERT INTO outbox.subscriptions (name, url, event_types) VALUES ('café', $1, '{*}') RETURNING id::text`, r.URL())
	query(&id, `SELECT outbox.emit('user.invited', '{"name": "Zoë"}', 'zoë')::text`)
	var status, user, body string
	await(t, "accepted", func() bool {
		query(&status, `SELECT coalesce(max(status), '') FROM outbox.delivery_log WHERE user_id = 'zoë'`)
		return status == "accepted"
	})
	require.Equal(t, 1, r.Len())
	require.True(t, bytes.HasSuffix(r.Requests()[0].Body, []byte(`"data":{"name": "Zoë"}}`)), "%s", r.Requests()[0].Body)
	query(&user, `SELECT user_id FROM outbox.deliveries`)
	require.Equal(t, "zoë", user)
	query(&body, `SELECT coalesce(response_body, 'none') FROM outbox.attempts`)
	require.Equal(t, "none", body, "LATIN1 has no check mark")
}

// mixed is a relay on a database of encoding SQL_ASCII, whose text may be in any, with a receiver for each tenant.
type mixed struct {
	t           *testing.T
	db          *pgxpool.Pool // Neither side converts or checks text.
	environment []string
	receivers   map[string]*receiver.Receiver
}

// mixedEvents are in UTF-8 and in LATIN1.
var mixedEvents = []struct{ tenant, user, payload string }{
	{"café", "zoë", `{"name": "Zoë ✓"}`},
	{"caf\xe9", "zo\xeb", "{\"name\": \"Zo\xeb\"}"},
}

func newMixed(t *testing.T, address, slot string) *mixed {
	t.Helper()
	m := &mixed{t: t, receivers: make(map[string]*receiver.Receiver), environment: append(naming(address, slot),
		"RELAY_NETWORK_ALLOW=127.0.0.0/8", "RELAY_DELIVERY_RETRY_BASE=200ms", "RELAY_DELIVERY_RETRY_UNIT=0s")}
	m.command("init")
	m.db = pgtest.Pool(t, address+"&client_encoding=SQL_ASCII")
	for _, tenant := range []string{mixedEvents[0].tenant, mixedEvents[1].tenant, "caf\xe8"} {
		m.receivers[tenant] = receiver.New(t, nil)
		pgtest.Execute(t, m.db, `INSERT INTO outbox.subscriptions (tenant, name, url, event_types) VALUES ($1, $1, $2, '{*}')`,
			tenant, m.receivers[tenant].URL())
	}
	return m
}

func (m *mixed) command(arg ...string) string {
	m.t.Helper()
	out, code := command(m.t, m.environment, arg...)
	require.Zero(m.t, code, "relay %v: %s", arg, out)
	return out
}

func (m *mixed) emit(typ string) {
	for _, e := range mixedEvents {
		pgtest.Execute(m.t, m.db, `SELECT outbox.emit($1, $2, $3, $4)`, typ, e.payload, e.user, e.tenant)
	}
}

// accepted waits until the events of a type are recorded as accepted after so many attempts or more, looks at what arrived,
// and returns the last delivery.
func (m *mixed) accepted(typ string, attempts int) (delivery string) {
	m.t.Helper()
	for _, e := range mixedEvents {
		await(m.t, typ+" of tenant "+strconv.QuoteToASCII(e.tenant), func() bool {
			delivery = pgtest.Value[string](m.t, m.db, `SELECT coalesce(max(delivery_id::text), '') FROM outbox.delivery_log
				WHERE status = 'accepted' AND tenant = $1 AND user_id = $2 AND event_type = $3 AND attempts >= $4`,
				e.tenant, e.user, typ, attempts)
			return delivery != ""
		})
		all := m.receivers[e.tenant].Requests()
		require.True(m.t, bytes.HasSuffix(all[len(all)-1].Body, []byte(`"data":`+e.payload+`}`)), "%q", all[len(all)-1].Body)
	}
	return delivery
}

// Text is sent and recorded as it is, by the stream, by claims and by the scan; tenants are told apart by their bytes. Where it is
// shown it is made valid.
func TestADatabaseInSQLASCII(t *testing.T) {
	address, slot := encoded(t, "SQL_ASCII"), pgtest.Slot(t)
	m := newMixed(t, address, slot)
	require.Contains(t, strings.Join(strings.Fields(m.command("check")), " "), "is SQL_ASCII: text in it may be in any encoding")
	relay := start(t, address, slot, m.environment...)
	require.Contains(t, relay.log.String(), "encoding is SQL_ASCII")
	m.emit("stream")
	delivery := m.accepted("stream", 1)

	for _, r := range m.receivers {
		r.Down()
	}
	m.emit("claims")
	await(t, "tried", func() bool {
		return pgtest.Value[int](t, m.db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'retrying'`) == len(mixedEvents)
	})
	for _, r := range m.receivers {
		r.Up()
	}
	m.accepted("claims", 2)

	relay.stop()
	pgtest.Execute(t, m.db, `SELECT pg_drop_replication_slot($1)`, slot)
	m.emit("scan")
	relay = start(t, address, slot, m.environment...)
	require.Contains(t, relay.log.String(), "making it anew")
	m.accepted("scan", 1)
	require.Zero(t, m.receivers["caf\xe8"].Len(), "another tenant")
	require.NotContains(t, relay.log.String(), "level=ERROR")
	m.isShown(relay, delivery)
}

// isShown looks at a delivery that is not in UTF-8 by every command and page that shows it.
func (m *mixed) isShown(relay *instance, delivery string) {
	t := m.t
	t.Helper()
	require.Contains(t, m.command("log"), delivery)
	require.Contains(t, m.command("log", "--tenant", mixedEvents[1].tenant, "--user", mixedEvents[1].user), delivery)
	require.Contains(t, m.command("log", "--json"), delivery)
	for line := range strings.Lines(m.command("log", "--json") + m.command("show", "--json", delivery)) {
		require.True(t, utf8.ValidString(line) && json.Valid([]byte(line)), "%q", line)
	}
	require.Contains(t, m.command("show", delivery), "accepted")
	m.command("status")
	m.command("subscriptions", "list")
	for _, page := range []string{"/", "/log", "/log/rows", "/log?tenant=caf%C3%A9", "/deliveries/" + delivery, "/users/zo%C3%AB", "/overview"} {
		response, err := http.Get("http://" + relay.listen + page)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, page)
		require.True(t, utf8.Valid(body), page)
	}
}

// pgx writes values into statements in UTF-8 alone: whoever asks for that is told what to do.
func TestSQLASCIIAndTheSimpleProtocol(t *testing.T) {
	address, slot := encoded(t, "SQL_ASCII"), pgtest.Slot(t)
	for _, name := range []string{"init", "run", "check", "log", "status"} {
		out, code := command(t, naming(address+"&default_query_exec_mode=simple_protocol", slot), name)
		require.Equal(t, 1, code, out)
		require.Contains(t, strings.Join(strings.Fields(out), " "), "SQL_ASCII, with which default_query_exec_mode=simple_protocol does not work", name)
		require.Contains(t, strings.Join(strings.Fields(out), " "), "take default_query_exec_mode out of database.url", name)
	}
	out, code := command(t, naming(address+"&default_query_exec_mode=exec", slot), "init")
	require.Zero(t, code, out)
}
