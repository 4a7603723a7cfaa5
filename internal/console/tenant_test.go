package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// rows is everything that a console can change, as text.
const rows = `SELECT coalesce(string_agg(r, E'\n' ORDER BY r), '') FROM (
  SELECT s::text FROM outbox.subscriptions AS s UNION ALL
  SELECT d::text FROM outbox.deliveries AS d UNION ALL SELECT e::text FROM outbox.events AS e) AS t(r)`

func TestATenantSeesAndTouchesNothingOfAnother(t *testing.T) {
	s := newSite(t)
	theirs := s.subscribe("rival", "rival hook", "https://rival.example.com/secret-path")
	delivery := s.deliver(theirs, "user.invited", "rival-user", `{"of": "rival-payload"}`, "rejected")
	event := value[uuid.UUID](s, `SELECT event_id FROM outbox.deliveries WHERE id = $1`, delivery)
	s.exec(`INSERT INTO outbox.subscription_stats VALUES ($1, date_trunc('hour', now()), gen_random_uuid(), 77777, 0, 0, 0, 1)`, theirs)
	mine := s.subscribe("acme", "acme hook", "https://acme.example.com/")
	s.deliver(mine, "order.paid", "acme-user", `{"of": "acme"}`, "accepted")
	before := value[string](s, rows)
	b := s.acme()

	hook, sent := "/webhooks/"+theirs.String(), "/deliveries/"+delivery.String()
	for _, path := range []string{
		hook, hook + "/edit", hook + "/rotate", hook + "/remove", sent, sent + "/payload", "/users", "/users/rival-user", "/users?id=rival-user",
		"/overview", "/overview/live", "/nowhere",
	} {
		a := b.get(path)
		require.Equal(t, http.StatusNotFound, a.code, path)
		requireNothingOfRival(t, a, path)
	}
	for _, path := range []string{
		"/", "/?q=rival", "/?tenant=rival", "/?after=" + theirs.String(), "/log", "/log/rows", "/log?tenant=rival", "/log?user=rival-user",
		"/log?webhook=" + theirs.String(), "/log?event=" + event.String(), "/log?url=rival", "/log?status=rejected", "/docs",
		"/find?q=" + theirs.String(), "/find?q=" + delivery.String(), "/find?q=" + event.String(), "/webhooks/new",
	} {
		a := b.get(path)
		require.Less(t, a.code, 400, path)
		requireNothingOfRival(t, a, path)
		require.NotContains(t, a.header.Get("Location"), "/deliveries/", path)
		require.NotContains(t, a.header.Get("Location"), "/webhooks/", path)
	}
	valid := url.Values{
		"url": {"https://x.example.com/"}, "which": {"all"}, "seen": {"1"}, "to": {"off"}, "overlap": {"0s"}, "type": {"user.invited"},
		"tenant": {"rival"},
	}
	for _, path := range []string{hook + "/edit", hook + "/switch", hook + "/rotate", hook + "/remove", hook + "/test", sent + "/replay"} {
		a := b.post(path, valid)
		require.Equal(t, http.StatusNotFound, a.code, path)
		requireNothingOfRival(t, a, path)
	}
	require.Equal(t, before, value[string](s, rows), "nothing was changed")

	require.Equal(t, http.StatusCreated, b.post("/webhooks", valid).code)
	require.Equal(t, "acme", value[string](s, `SELECT tenant FROM outbox.subscriptions WHERE url = 'https://x.example.com/'`),
		"whatever tenant the form names")
}

func requireNothingOfRival(t *testing.T, a answer, path string) {
	t.Helper()
	for _, word := range []string{"rival hook", "rival.example.com", "rival-payload", "77,777"} {
		require.NotContains(t, a.body, word, path)
	}
	if !strings.Contains(path, "rival") {
		require.NotContains(t, a.body, "rival", path)
	}
}

func TestATenantWorksWithItsOwn(t *testing.T) {
	s := newSite(t)
	mine := s.subscribe("acme", "acme hook", "https://acme.example.com/")
	delivery := s.deliver(mine, "order.paid", "u1", `{"of": "acme"}`, "rejected")
	b := s.acme()
	for _, path := range []string{"/", "/webhooks/" + mine.String(), "/log", "/docs", "/deliveries/" + delivery.String()} {
		require.Equal(t, http.StatusOK, b.get(path).code, path)
	}
	require.Contains(t, b.get("/log").body, `href="/log?user=u1"`, "users have no page here")
	require.Equal(t, http.StatusSeeOther, b.post("/deliveries/"+delivery.String()+"/replay", nil).code)
	require.Equal(t, 1, value[int](s, `SELECT count(*) FROM outbox.deliveries WHERE replay_of = $1`, delivery))

	a := b.post("/webhooks", url.Values{"url": {"https://x.example.com/"}, "which": {"all"}, "concurrency": {"65"}, "timeout": {"16"}})
	require.Equal(t, http.StatusUnprocessableEntity, a.code, "no wider than the relay's own limits")
	require.Contains(t, a.text(), "must be a number from 1 to 64")
	require.Contains(t, a.text(), "must be a number from 0.001 to 15")
}

func TestATenantMayHaveSoManyWebhooks(t *testing.T) {
	s := newSite(t)
	s.exec(`INSERT INTO outbox.subscriptions (tenant, url, event_types) SELECT 'acme', 'https://x.example.com/' || n, '{*}' FROM generate_series(1, 100) AS n`)
	a := s.acme().post("/webhooks", url.Values{"url": {"https://x.example.com/"}, "which": {"all"}})
	require.Equal(t, http.StatusUnprocessableEntity, a.code)
	require.Contains(t, a.text(), "there are 100 webhooks already")
	require.Equal(t, http.StatusCreated, s.browser().post("/webhooks", url.Values{"url": {"https://x.example.com/"}, "which": {"all"}, "tenant": {"acme"}}).code)
}

func TestATenantIsNotToldOfPrivateAddresses(t *testing.T) {
	s := newSite(t)
	s.cfg.Network.Allow = nil
	mine := s.subscribe("acme", "hook", "http://10.1.2.3/")
	delivery := s.deliver(mine, "order.paid", "u1", `{}`, "retrying")
	s.exec(`UPDATE outbox.deliveries SET error_class = 'blocked', error = 'address 10.9.9.9:80 refused'`)
	s.exec(`UPDATE outbox.attempts SET error_class = 'blocked', error = 'address 10.9.9.9:80 refused'`)
	for _, path := range []string{"/log", "/deliveries/" + delivery.String()} {
		require.NotContains(t, s.acme().get(path).body, "10.9.9.9")
		require.Contains(t, s.browser().get(path).body, "10.9.9.9")
	}
}
