package outbox_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

// blocks returns the code of one language in docs/host-app.md.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/host-app.md")
	require.NoError(t, err)
	var all []string
	for _, match := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```\n").FindAllStringSubmatch(string(text), -1) {
		all = append(all, match[1])
	}
	require.NotEmpty(t, all)
	return all
}

// newRole makes a role for a test: roles are those of the whole cluster.
func newRole(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	role := "shop_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	_, err := pool.Exec(t.Context(), `CREATE ROLE `+role)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role)
		require.NoError(t, err)
	})
	return role
}

// grants are the documented GRANT statements, in order: to write events, to read the log, to manage subscriptions.
func grants(t *testing.T, role string) []string {
	t.Helper()
	var all []string
	for _, block := range blocks(t, "sql") {
		if strings.HasPrefix(block, "GRANT ") {
			all = append(all, strings.ReplaceAll(block, " shop;", " "+role+";"))
		}
	}
	require.Len(t, all, 3)
	return all
}

func as(t *testing.T, url, role string) *pgx.Conn {
	t.Helper()
	conn := connect(t, url)
	_, err := conn.Exec(t.Context(), `SET ROLE `+role)
	require.NoError(t, err)
	return conn
}

// Every statement in the documentation runs, with the privileges that it names.
func TestDocumentedSQL(t *testing.T) {
	t.Parallel()

	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	role := newRole(t, pool)
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE invitations (user_id text, email text, expires_at timestamptz DEFAULT now() - interval '1 second');
		ALTER TABLE invitations OWNER TO `+role+`;
		GRANT CREATE ON SCHEMA public TO `+role)
	require.NoError(t, err)
	for _, grant := range grants(t, role) {
		_, err := pool.Exec(t.Context(), grant)
		require.NoError(t, err, grant)
	}

	shop := as(t, url, role)
	for _, block := range blocks(t, "sql") {
		if !strings.HasPrefix(block, "GRANT ") {
			_, err := shop.PgConn().Exec(t.Context(), block).ReadAll()
			require.NoError(t, err, block)
		}
	}
	// Once more, now that the trigger is there and the order has been paid.
	for _, block := range blocks(t, "sql") {
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

	url := pgtest.Migrated(t)
	pool := pgtest.Pool(t, url)
	role := newRole(t, pool)
	_, err := pool.Exec(t.Context(), grants(t, role)[0])
	require.NoError(t, err)
	shop := as(t, url, role)

	_, err = outbox.Insert(t.Context(), shop, outbox.Event{Type: "a", UserID: "42", Payload: `{}`}, outbox.Event{Type: "b", Payload: `1`})
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
	pool := pgtest.Pool(t, url)
	write(t, pool, sampleLog())
	role := newRole(t, pool)
	_, err := pool.Exec(t.Context(), `GRANT USAGE ON SCHEMA outbox TO `+role+`; `+grants(t, role)[1])
	require.NoError(t, err)
	shop := as(t, url, role)

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
	for _, block := range blocks(t, "go") {
		_, body, _ := strings.Cut(block, "pgx.BeginFunc(") // the examples return what the documentation assigns
		require.Contains(t, squeeze(string(example)), squeeze(body))
	}
}
