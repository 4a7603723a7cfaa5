package outbox_test

import (
	"bufio"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

// blocks returns the code of one language in a page of the documentation.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + page)
	require.NoError(t, err)
	fences := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, fences)
	all := make([]string, len(fences))
	for i, fence := range fences {
		all[i] = fence[1]
	}
	return all
}

// grants are the documented GRANT statements, in order: to write events, to read the log, to manage subscriptions.
func grants(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, block := range blocks(t, "host-app.md", "sql") {
		if strings.HasPrefix(block, "GRANT ") {
			all = append(all, strings.ReplaceAll(block, " shop;", " %s;"))
		}
	}
	require.Len(t, all, 3)
	return all
}

// Every statement in the documentation runs, with the privileges that it names.
func TestDocumentedSQL(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE invitations (user_id text, email text, expires_at timestamptz DEFAULT now() - interval '1 second')`)
	require.NoError(t, err)
	shop := connect(t, pgtest.Role(t, url, append(grants(t),
		`ALTER TABLE invitations OWNER TO %s`, `GRANT CREATE ON SCHEMA public TO %s`)...))

	for _, block := range blocks(t, "host-app.md", "sql") {
		if !strings.HasPrefix(block, "GRANT ") {
			_, err := shop.PgConn().Exec(t.Context(), block).ReadAll()
			require.NoError(t, err, block)
		}
	}
	// Once more, now that the trigger is there and the order has been paid.
	for _, block := range blocks(t, "host-app.md", "sql") {
		if strings.Contains(block, "BEGIN;") || strings.Contains(block, "ON CONFLICT") {
			_, err := shop.PgConn().Exec(t.Context(), block).ReadAll()
			require.NoError(t, err, block)
		}
	}

	rows, err := pool.Query(t.Context(), `
		SELECT concat_ws(' ', type, tenant, user_id, payload::text, count(*)) FROM outbox.events
		 GROUP BY type, tenant, user_id, payload::text ORDER BY 1`)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		`invitation.expired default 42 {"email" : "ada@example.com"} 1`,
		`order.paid default {"order": 1815} 1`,
		`user.invited acme 42 {"email": "ada@example.com"} 1`,
		`user.invited default 42 {"email" : "ada@example.com"} 1`,
		`user.invited default 42 {"email": "ada@example.com"} 2`,
	}, events)
}

func TestPrivilegesToWrite(t *testing.T) {
	t.Parallel()

	shop := connect(t, pgtest.Role(t, pgtest.Migrated(t), grants(t)[0]))

	_, err := outbox.Insert(t.Context(), shop, outbox.Event{Type: "a", UserID: "42", Payload: `{}`, Tenant: "acme"},
		outbox.Event{Type: "b", Payload: `1`})
	require.NoError(t, err)
	var id uuid.UUID
	require.NoError(t, shop.QueryRow(t.Context(), `SELECT outbox.emit('c', '{}')`).Scan(&id))
	_, err = shop.CopyFrom(t.Context(), pgx.Identifier{"outbox", "events"}, []string{"type", "payload"},
		pgx.CopyFromRows([][]any{{"d", `{}`}}))
	require.NoError(t, err)

	for _, refused := range []string{
		`SELECT type FROM outbox.events`,
		`UPDATE outbox.events SET type = 'x'`,
		`DELETE FROM outbox.events`,
		`INSERT INTO outbox.events (type, payload) VALUES ('a', '{}') RETURNING id`,
		`SELECT * FROM outbox.delivery_log`,
		`SELECT * FROM outbox.attempts`,
		`SELECT url, secret FROM outbox.subscriptions`,
		`INSERT INTO outbox.subscriptions (url, event_types) VALUES ('https://example.com', '{*}')`,
		`SELECT outbox.replay(outbox.uuid7())`,
	} {
		_, err := shop.Exec(t.Context(), refused)
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr, refused)
		require.Equal(t, "42501", pgErr.Code, refused)
	}
}

func TestPrivilegesToRead(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	write(t, pgtest.Pool(t, url), sampleLog())
	shop := connect(t, pgtest.Role(t, url, `GRANT USAGE ON SCHEMA outbox TO %s`, grants(t)[1]))

	log, err := outbox.Log(t.Context(), shop, outbox.Filter{UserID: "42"})
	require.NoError(t, err)
	require.Len(t, log, 4)
	_, err = outbox.Attempts(t.Context(), shop, log[0].DeliveryID)
	require.NoError(t, err)
	_, err = outbox.Insert(t.Context(), shop, outbox.Event{Type: "a", Payload: `{}`})
	require.ErrorContains(t, err, "permission denied for table events")
}

// The Go in the documentation is the Go of the examples, which is compiled.
func TestDocumentedGo(t *testing.T) {
	t.Parallel()

	squeeze := func(code string) string { return strings.Join(strings.Fields(code), " ") }
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	for _, block := range blocks(t, "host-app.md", "go") {
		_, body, _ := strings.Cut(block, "pgx.BeginFunc(") // the examples return what the documentation assigns
		require.Contains(t, squeeze(string(example)), squeeze(body))
	}
}

// A reader may try code of their own on the documented request: it verifies with the documented secret.
func TestDocumentedRequest(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("../docs/receiving.md")
	require.NoError(t, err)
	webhook, err := standardwebhooks.NewWebhook(regexp.MustCompile("whsec_[A-Za-z0-9+/=]{10,}").FindString(string(page)))
	require.NoError(t, err)
	text := blocks(t, "receiving.md", "http")[0]
	_, body, found := strings.Cut(text, "\n\n")
	require.True(t, found)
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\n\n")))
	require.NoError(t, err)

	require.NoError(t, webhook.VerifyIgnoringTimestamp([]byte(body), request.Header))
	require.Contains(t, body, `{"id":"`+request.Header.Get("webhook-id")+`","type":"user.invited","timestamp":"`)
}

func TestDocumentedReceiversTable(t *testing.T) {
	t.Parallel()

	conn := connect(t, pgtest.Migrated(t))
	for _, block := range blocks(t, "receiving.md", "sql") {
		_, err := conn.PgConn().Exec(t.Context(), block).ReadAll()
		require.NoError(t, err, block)
	}
}
