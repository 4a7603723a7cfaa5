package console_test

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/console"
	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/relay"
)

// linkKey is http.link_key in tests.
const linkKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// site is a console with a database of its own.
type site struct {
	t   *testing.T
	db  *pgxpool.Pool
	cfg *config.Config
	url string
	log *bytes.Buffer
}

func newSite(t *testing.T, change ...func(*config.Config)) *site {
	t.Helper()
	cfg := config.Default()
	cfg.Database.URL = pgtest.Migrated(t)
	cfg.Network.Allow = []string{"127.0.0.0/8"}
	cfg.HTTP.LinkKey = linkKey
	cfg.EventTypes = []config.EventType{
		{Type: "user.invited", Description: "A user was invited.", Sample: `{"email": "ada@example.com"}`},
		{Type: "order.paid", Description: "An order was paid.", Sample: `{"order": 1}`},
	}
	for _, c := range change {
		c(cfg)
	}
	require.Empty(t, cfg.Validate())
	s := &site{t: t, db: pgtest.Pool(t, cfg.Database.URL), cfg: cfg, log: &bytes.Buffer{}}
	engine, err := relay.New(cfg, relay.Options{Version: "1.2.3"})
	require.NoError(t, err)
	gate, err := access.New(cfg.HTTP)
	require.NoError(t, err)
	pages, err := console.New(console.Options{
		Config: cfg, Gate: gate, DB: s.db, Engine: engine, Version: "1.2.3", Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	require.NoError(t, err)
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// exec runs SQL.
func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.db.Exec(context.Background(), sql, args...)
	require.NoError(s.t, err)
}

// value is what a query of one column and row returns.
func value[T any](s *site, sql string, args ...any) (v T) {
	s.t.Helper()
	require.NoError(s.t, s.db.QueryRow(context.Background(), sql, args...).Scan(&v))
	return v
}

func (s *site) subscribe(tenant, name, url string) uuid.UUID {
	s.t.Helper()
	return value[uuid.UUID](s, `INSERT INTO outbox.subscriptions (tenant, name, url, event_types) VALUES ($1, $2, $3, '{*}') RETURNING id`,
		tenant, name, url)
}

// deliver writes a delivery down, as the relay would have.
func (s *site) deliver(subscription uuid.UUID, eventType, user, payload, status string) uuid.UUID {
	s.t.Helper()
	return value[uuid.UUID](s, `
		WITH e AS (
		  INSERT INTO outbox.events (type, tenant, user_id, payload, created_at)
		  SELECT $2, tenant, $3, $4::text::json, clock_timestamp() FROM outbox.subscriptions WHERE id = $1
		  RETURNING *
		), d AS (
		  INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, due_at, next_attempt_at, last_attempt_at,
		    attempts, response_code, status, event_type, tenant, user_id, url)
		  SELECT outbox.delivery_id(e.id, s.id), e.id, s.id, e.created_at,
		         CASE WHEN $5 IN ('pending', 'retrying') THEN now() + interval '1 hour' END,
		         CASE WHEN $5 = 'retrying' THEN now() + interval '1 hour' END, now(), 1,
		         CASE $5 WHEN 'accepted' THEN 200 WHEN 'rejected' THEN 500 END, $5, e.type, e.tenant, e.user_id, s.url
		    FROM e, outbox.subscriptions AS s WHERE s.id = $1
		  RETURNING id, response_code
		), a AS (
		  INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms, response_code, response_body)
		  SELECT id, 1, now(), 12, response_code, 'answer body' FROM d
		)
		SELECT id FROM d`, subscription, eventType, user, payload, status)
}

// browser is a client that keeps cookies and does not follow redirects.
type browser struct {
	*site
	client *http.Client
	header http.Header // Of each request.
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.t.Cleanup(client.CloseIdleConnections)
	return &browser{site: s, client: client, header: http.Header{}}
}

// acme is a browser that came in by a link for the tenant acme.
func (s *site) acme() *browser {
	s.t.Helper()
	b := s.browser()
	answer := b.post("/enter", url.Values{"token": {s.token("acme")}})
	require.Equal(s.t, http.StatusSeeOther, answer.code, answer.body)
	return b
}

type answer struct {
	code   int
	body   string
	header http.Header
}

// text is the body as people read it.
func (a answer) text() string {
	plain := regexp.MustCompile(`</?span[^>]*>`).ReplaceAllString(a.body, "") // Within words.
	plain = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(plain, " ")
	return strings.Join(strings.Fields(html.UnescapeString(plain)), " ")
}

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	for name, values := range b.header {
		r.Header[name] = values
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	response, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return answer{response.StatusCode, string(body), response.Header}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.url+path, nil)
	require.NoError(b.t, err)
	return b.do(r)
}

func (b *browser) post(path string, form url.Values) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.url+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// field is the value of a form's field on a page.
func (a answer) field(name string) string {
	tag := regexp.MustCompile(`<input[^>]*name="` + name + `"[^>]*>`).FindString(a.body)
	if found := regexp.MustCompile(`value="([^"]*)"`).FindStringSubmatch(tag); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}
