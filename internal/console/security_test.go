package console_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
)

func withUser(t *testing.T) func(*config.Config) {
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	require.NoError(t, err)
	return func(c *config.Config) {
		c.HTTP.Listen = "0.0.0.0:8080"
		c.HTTP.Auth.Users = []config.User{{Name: "ada", PasswordHash: string(hash)}}
	}
}

func TestEveryPageForbidsWhatItDoesNotNeed(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"/", "/log", "/docs", "/overview", "/webhooks/new", "/nowhere", "/sign-in"} {
		h := s.browser().get(path).header
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'")
		require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "same-origin", h.Get("Referrer-Policy"))
		require.Equal(t, "DENY", h.Get("X-Frame-Options"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
	}
	framed := newSite(t, func(c *config.Config) { c.HTTP.FrameAncestors = []string{"https://app.example.com"} })
	h := framed.browser().get("/").header
	require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'self' https://app.example.com")
	require.Empty(t, h.Get("X-Frame-Options"))
}

func TestPagesHaveNoInlineScriptOrStyle(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://x.example.com/")
	delivery := s.deliver(id, "user.invited", "42", `{}`, "retrying")
	for _, path := range []string{"/", "/log", "/docs", "/overview", "/webhooks/new", "/webhooks/" + id.String(), "/deliveries/" + delivery.String()} {
		body := s.browser().get(path).body
		require.NotRegexp(t, `<style|\sstyle=|\son[a-z]+=|javascript:|<script>`, body, path)
	}
}

func TestOtherNamesAreRefused(t *testing.T) {
	s := newSite(t, func(c *config.Config) { c.HTTP.Hosts = []string{"relay.example.com"} })
	for host, want := range map[string]int{
		"evil.example.com": 421, "evil.example.com:8080": 421, "127.0.0.1.evil.example.com": 421,
		"relay.example.com": 200, "RELAY.example.com:443": 200, "localhost:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "10.0.0.5": 200,
	} {
		b := s.browser()
		b.header.Set("Host", host)
		require.Equal(t, want, b.get("/").code, host)
	}
}

func TestOtherSitesCannotChangeAnything(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://x.example.com/")
	for name, value := range map[string]string{"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"} {
		b := s.browser()
		b.header.Set(name, value)
		for _, path := range []string{"/webhooks/" + id.String() + "/remove", "/webhooks", "/enter", "/sign-in", "/sign-out"} {
			require.Equal(t, http.StatusForbidden, b.post(path, nil).code, "%s %s", name, path)
		}
	}
	require.Equal(t, 1, value[int](s, `SELECT count(*) FROM outbox.subscriptions`))
}

func TestNothingIsChangedByGET(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://x.example.com/")
	delivery := s.deliver(id, "user.invited", "42", `{}`, "rejected")
	before := value[string](s, rows)
	for _, path := range []string{
		"/webhooks", "/webhooks/" + id.String() + "/switch?to=off", "/webhooks/" + id.String() + "/rotate?overlap=0s&seen=1",
		"/webhooks/" + id.String() + "/remove", "/webhooks/" + id.String() + "/test?type=user.invited",
		"/deliveries/" + delivery.String() + "/replay", "/webhooks/" + id.String() + "/edit?url=https://y.example.com",
	} {
		s.browser().get(path)
	}
	require.Equal(t, before, value[string](s, rows))
}

func TestFormsAreBounded(t *testing.T) {
	s := newSite(t)
	a := s.browser().post("/webhooks", url.Values{"url": {strings.Repeat("x", 300<<10)}})
	require.Equal(t, http.StatusRequestEntityTooLarge, a.code)
}

func TestNobodyComesInWithoutALogin(t *testing.T) {
	s := newSite(t, withUser(t))
	id := s.subscribe("default", "crm", "https://x.example.com/")
	delivery := s.deliver(id, "user.invited", "42", `{}`, "rejected")
	before := value[string](s, rows)
	hook, sent := "/webhooks/"+id.String(), "/deliveries/"+delivery.String()
	for _, path := range []string{"/", "/webhooks/new", hook, hook + "/edit", hook + "/rotate", hook + "/remove", "/docs", "/log?type=a", "/log/rows",
		sent, sent + "/payload", "/find?q=x", "/users/42", "/overview", "/overview/live", "/nowhere"} {
		a := s.browser().get(path)
		require.Equal(t, http.StatusSeeOther, a.code, path)
		require.Equal(t, "/sign-in?next="+url.QueryEscape(path), a.header.Get("Location"))
	}
	for _, path := range []string{"/webhooks", hook + "/edit", hook + "/switch", hook + "/rotate", hook + "/remove", hook + "/test", sent + "/replay"} {
		require.Equal(t, http.StatusUnauthorized, s.browser().post(path, url.Values{"to": {"off"}}).code, path)
	}
	require.Equal(t, before, value[string](s, rows))
}

func TestSignIn(t *testing.T) {
	s := newSite(t, withUser(t))
	b := s.browser()
	wrong := b.post("/sign-in", url.Values{"name": {"ada"}, "password": {"hunter2"}, "next": {"/log?type=a"}})
	require.Equal(t, http.StatusUnauthorized, wrong.code)
	require.Equal(t, "ada", wrong.field("name"))
	require.NotContains(t, wrong.body+s.log.String(), "hunter2")
	in := b.post("/sign-in", url.Values{"name": {"ada"}, "password": {"correct horse"}, "next": {wrong.field("next")}})
	require.Equal(t, http.StatusSeeOther, in.code)
	require.Equal(t, "/log?type=a", in.header.Get("Location"))
	require.Contains(t, in.header.Get("Set-Cookie"), "HttpOnly")
	require.Equal(t, http.StatusOK, b.get("/").code)
	b.post("/sign-out", nil)
	require.Equal(t, http.StatusSeeOther, b.get("/").code)

	for _, next := range []string{"https://evil.example.com/", "//evil.example.com", `/\evil.example.com`, "/\tx"} {
		a := s.browser().post("/sign-in", url.Values{"name": {"ada"}, "password": {"correct horse"}, "next": {next}})
		require.Equal(t, "/", a.header.Get("Location"), "never to another site")
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	s := newSite(t, withUser(t))
	b := s.browser()
	for range 5 {
		require.Equal(t, http.StatusUnauthorized, b.post("/sign-in", url.Values{"name": {"ada"}, "password": {"x"}}).code)
	}
	a := b.post("/sign-in", url.Values{"name": {"ada"}, "password": {"correct horse"}})
	require.Equal(t, http.StatusTooManyRequests, a.code)
	require.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestProgramsSendATokenOrAPassword(t *testing.T) {
	token, hash := access.NewToken()
	s := newSite(t, withUser(t), func(c *config.Config) { c.HTTP.Auth.Tokens = []string{hash} })
	for header, want := range map[string]int{
		"Bearer " + token: 200, "Bearer x" + token: 401, "Basic YWRhOmNvcnJlY3QgaG9yc2U=": 200, "Basic YWRhOng=": 401, "Negotiate x": 401,
	} {
		b := s.browser()
		b.header.Set("Authorization", header)
		require.Equal(t, want, b.get("/log").code, header)
	}
}

func TestErrorsTellNothingOfTheDatabase(t *testing.T) {
	s := newSite(t)
	s.exec(`DROP SCHEMA outbox CASCADE`)
	a := s.browser().get("/")
	require.Equal(t, http.StatusServiceUnavailable, a.code)
	require.Contains(t, a.text(), "The database is not set up yet")
	require.Contains(t, a.body, "with <code>relay init</code>.")
	require.NotContains(t, a.body, "SELECT")
	require.NotContains(t, a.body, "outbox.subscriptions")
	require.Contains(t, s.log.String(), "outbox.subscriptions", "the log has it")
}

func TestADatabaseThatIsAway(t *testing.T) {
	s := newSite(t)
	s.db.Close()
	a := s.browser().get("/")
	require.GreaterOrEqual(t, a.code, 500)
	require.NotContains(t, a.body, "pool")
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t)
	page := s.browser().get("/").body
	at := strings.Index(page, "/static/")
	path := page[at : at+strings.IndexByte(page[at:], '"')]
	a := s.browser().get(path)
	require.Equal(t, http.StatusOK, a.code)
	require.Contains(t, a.header.Get("Cache-Control"), "immutable")
	for _, other := range []string{"/static/x/..%2f..%2fgo.mod", "/static/x/nothing.js"} {
		require.NotEqual(t, http.StatusOK, s.browser().get(other).code, other)
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, s.url+"/", bytes.NewReader(nil))
	require.NoError(t, err)
	require.NotEqual(t, http.StatusOK, s.browser().do(r).code)
}
