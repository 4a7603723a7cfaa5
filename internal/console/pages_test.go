package console_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/console"
)

func TestNewcomersAreToldWhatToDo(t *testing.T) {
	s := newSite(t, func(c *config.Config) { c.EventTypes = nil })
	b := s.browser()
	require.Contains(t, b.get("/").text(), "No URL is subscribed yet")
	require.Contains(t, b.get("/log").text(), "Nothing was sent yet")
	require.Contains(t, b.get("/docs").text(), "No event type is documented yet")
	require.Contains(t, b.get("/overview").text(), "No relay has been seen")
	require.Contains(t, b.get("/overview").text(), "Nothing to draw yet")
	require.NotContains(t, b.get("/").body, `class="filter`, "there is nothing to search")
	require.NotContains(t, s.acme().get("/docs").text(), "relay.yaml")
}

func TestDocs(t *testing.T) {
	s := newSite(t, func(c *config.Config) {
		c.Delivery.RetryOn = []string{"unreachable", "5xx"}
		c.Delivery.DisableOn = []string{"410"}
	})
	s.exec(`INSERT INTO outbox.event_types (type, description, sample, schema) VALUES ('team.made', 'A team was made.', '{"team": 7}', '{"type": "object"}')`)
	text := s.browser().get("/docs").text()
	for _, want := range []string{"user.invited", "A user was invited.", `"email": "ada@example.com"`, "team.made", `{ "team": 7 }`, "JSON Schema",
		"answer 200 within 15 s", "after 6 s, 21 s, 86 s", "16 attempts", "answer 410", "switched off", "webhook-signature"} {
		require.Contains(t, text, want)
	}
	page, err := os.ReadFile("../../docs/receiving.md")
	require.NoError(t, err)
	for _, code := range console.Snippets() {
		require.Contains(t, string(page), strings.TrimSpace(code), "what is shown is what is tried")
	}
}

func TestOverview(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://crm.example.com/hook")
	s.exec(`INSERT INTO outbox.relays VALUES (gen_random_uuid(), 'host-a', 7, '1.0', 'relay', now(), now(), true, true, 'relaying', 3),
	  (gen_random_uuid(), 'host-b', 8, '1.0', 'relay', now(), now() - interval '1 minute', false, true, 'standing by', 0)`)
	s.exec(`INSERT INTO outbox.relay_stats VALUES (date_trunc('minute', now()) - interval '1 minute', gen_random_uuid(), 60, 600, 60, 60, 0,
	  '{0,0,0,100,0,0,0,0,0,0,0,0,0,0,0}', '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,5}', 12, 34, 5, 2048)`)
	s.exec(`INSERT INTO outbox.subscription_stats VALUES ($1, date_trunc('hour', now()), gen_random_uuid(), 10, 5, 2, 1, 1000)`, id)
	text := s.browser().get("/overview").text()
	for _, want := range []string{"host-a", "leads", "host-b", "gone", "12 pending, 34 retrying, the oldest for 5 s", "2 KiB", "over 20 s", "p50 7.5 ms", "crm"} {
		require.Contains(t, text, want)
	}
	page := s.browser().get("/").text()
	require.Contains(t, page, "58.8 % accepted of 17 in 24 h")
	require.Contains(t, s.browser().get("/").body, "this hour: 10 accepted, 5 rejected, 1 retrying, 1 failed")
}

func TestChartsSayWhatTheirLinesAre(t *testing.T) {
	s := newSite(t)
	s.exec(`INSERT INTO outbox.relay_stats (minute, relay_id, events, accepted, rejected, unreachable, failed, answer_counts, delay_counts, pending, retrying, oldest_seconds, slot_lag_bytes)
	  VALUES (date_trunc('minute', now()) - interval '1 minute', gen_random_uuid(), 60, 1500, 0, 0, 0, '{0,0,0,100,0,0,0,0,0,0,0,0,0,0,0}', '{9,0,0,0,0,0,0,0,0,0,0,0,0,0,0}', 45, 1, 5, 3000)`)
	text := s.browser().get("/overview").text()
	require.Contains(t, text, "Attempts 25 a second")
	for _, ticks := range []string{"40 20 0", "100 s 10 s 1 s 100 ms 10 ms 1 ms", "60 30 0", "4 KiB 2 KiB 0"} {
		require.Contains(t, text, ticks)
	}
}

func TestManyWebhooksComeInPages(t *testing.T) {
	s := newSite(t)
	s.exec(`INSERT INTO outbox.subscriptions (name, url, event_types) SELECT CASE WHEN n % 2 = 0 THEN 'hook ' || n END, 'https://x.example.com/' || n, '{*}' FROM generate_series(1, 120) AS n`)
	seen, pages := 0, 0
	for next := "/"; next != ""; pages++ {
		a := s.browser().get(next)
		require.Equal(t, http.StatusOK, a.code)
		seen += strings.Count(a.body, `class="row" href="/webhooks/`)
		next = a.next()
	}
	require.Equal(t, 120, seen)
	require.Equal(t, 3, pages)
	require.Contains(t, s.browser().get("/?q=hook+118").text(), "hook 118")
	require.Contains(t, s.browser().get("/?q=nothing").text(), "None fits")
	require.Contains(t, s.browser().get("/").body, `name="tenant"`, "there may be tenants on the other pages")
	s.exec(`DELETE FROM outbox.subscriptions WHERE url <> 'https://x.example.com/1'`)
	require.NotContains(t, s.browser().get("/").body, `class="filter`, "one is found without a search")
}
