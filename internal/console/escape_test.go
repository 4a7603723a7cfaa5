package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile is what would run if any of it reached a page as it is.
const hostile = `"><script>pwned()</script><img src=x onerror=pwned()>'{{.}}</code></pre></textarea>`

// infest fills a site with it, wherever something from outside can be.
func infest(s *site) (webhook, delivery string) {
	id := s.subscribe(hostile, hostile, "https://x.example.com/?q="+strings.ReplaceAll(hostile, " ", "+"))
	s.exec(`UPDATE outbox.subscriptions SET disabled_reason = $1, active = false, headers = json_build_object('X-Evil', $1::text)`, hostile)
	s.exec(`UPDATE outbox.subscriptions SET active = true`)
	s.exec(`INSERT INTO outbox.event_types (type, description, sample, schema) VALUES ('evil.type', $1, to_json($1::text), to_json($1::text))`, hostile)
	d := s.deliver(id, "evil.type", hostile, `{"`+strings.ReplaceAll(hostile, `"`, `\"`)+`": "`+strings.ReplaceAll(hostile, `"`, `\"`)+`"}`, "retrying")
	s.exec(`UPDATE outbox.deliveries SET error = $1, error_class = 'other', response_code = NULL`, hostile)
	s.exec(`UPDATE outbox.attempts SET error = $1, error_class = 'other', response_body = $1`, hostile)
	s.exec(`UPDATE outbox.events SET traceparent = $1`, hostile)
	s.exec(`INSERT INTO outbox.relays VALUES (gen_random_uuid(), $1, 1, $1, $1, now(), now(), true, true, $1, 0)`, hostile)
	s.exec(`INSERT INTO outbox.subscription_stats VALUES ($1, date_trunc('hour', now()), gen_random_uuid(), 1, 5, 5, 1, 1)`, id)
	return "/webhooks/" + id.String(), "/deliveries/" + d.String()
}

func TestWhatComesFromOutsideIsText(t *testing.T) {
	s := newSite(t)
	webhook, delivery := infest(s)
	b := s.browser()
	q := url.QueryEscape(hostile)
	pages := map[string]answer{}
	for _, path := range []string{
		"/", "/?q=" + q, "/?tenant=" + q, webhook, webhook + "/edit", webhook + "/rotate", webhook + "/remove", "/webhooks/new", "/docs",
		"/log", "/log/rows", "/log?user=" + q, "/log?type=" + q, "/log?status=" + q, "/log?webhook=" + q, "/log?event=" + q, "/log?url=" + q,
		"/log?tenant=" + q, "/log?from=" + q, "/log?to=" + q, "/log?within=" + q, delivery, "/users/" + url.PathEscape(hostile),
		"/users?id=" + q, "/overview", "/sign-in?next=" + q, "/nowhere?" + q, "/" + url.PathEscape(hostile),
	} {
		pages[path] = b.get(path)
	}
	form := url.Values{}
	for _, field := range []string{"url", "name", "tenant", "type", "others", "rate", "concurrency", "timeout", "header_name", "header_value", "id", "seen"} {
		form.Set(field, hostile)
	}
	pages["POST /webhooks"] = b.post("/webhooks", form)
	form.Set("seen", "1")
	pages["POST edit"] = b.post(webhook+"/edit", form)
	for path, a := range pages {
		require.NotContains(t, a.body, "<script>pwned", path)
		require.NotContains(t, a.body, "<img src=x", path)
		require.NotContains(t, strings.ReplaceAll(a.body, `\"`, ""), `"><`+"script", path)
	}
	require.Contains(t, pages[delivery].text(), "pwned()", "it is shown, as text")
	file := b.get(delivery + "/payload")
	require.Equal(t, "application/json", file.header.Get("Content-Type"))
	require.Contains(t, file.header.Get("Content-Disposition"), "attachment")
	require.Contains(t, file.header.Get("Content-Security-Policy"), "sandbox")
	require.Equal(t, http.StatusOK, file.code)
}
