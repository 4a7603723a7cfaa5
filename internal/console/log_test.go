package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

var rowLink = regexp.MustCompile(`class="row" href="/deliveries/([0-9a-f-]{36})"`)

func (a answer) deliveries() []string {
	var all []string
	for _, found := range rowLink.FindAllStringSubmatch(a.body, -1) {
		all = append(all, found[1])
	}
	return all
}

func (a answer) next() string {
	found := regexp.MustCompile(`rel="next" href="([^"]*)"`).FindStringSubmatch(a.body)
	if found == nil {
		return ""
	}
	return regexp.MustCompile(`&amp;`).ReplaceAllString(found[1], "&")
}

func TestFilters(t *testing.T) {
	s := newSite(t)
	crm := s.subscribe("default", "crm", "https://crm.example.com/hook")
	other := s.subscribe("acme", "other", "https://other.example.com/")
	invited := s.deliver(crm, "user.invited", "u1", `{}`, "accepted")
	paid := s.deliver(crm, "order.paid", "u2", `{}`, "rejected")
	acme := s.deliver(other, "user.deleted", "u1", `{}`, "retrying")
	event := value[uuid.UUID](s, `SELECT event_id FROM outbox.deliveries WHERE id = $1`, paid)
	s.exec(`UPDATE outbox.deliveries SET event_created_at = '2025-03-01 12:00:00+00' WHERE id = $1`, invited)
	b := s.browser()
	for query, want := range map[string][]uuid.UUID{
		"":                                    {acme, paid, invited},
		"status=accepted":                     {invited},
		"status=unhappy":                      {acme, paid},
		"status=failed":                       nil,
		"type=user.*":                         {acme, invited},
		"type=order.paid":                     {paid},
		"type=user":                           nil,
		"user=u1":                             {acme, invited},
		"user=u1&status=retrying":             {acme},
		"tenant=acme":                         {acme},
		"webhook=" + crm.String():             {paid, invited},
		"webhook=" + uuid.NewString():         nil,
		"url=crm.example":                     {paid, invited},
		"event=" + event.String():             {paid},
		"event=" + uuid.NewString():           nil,
		"within=1h":                           {acme, paid},
		"from=2025-03-01T12:00&to=2025-03-02": {invited},
		"to=2025-03-01+12:00":                 nil,
		"status=&type=&user=":                 {acme, paid, invited},
	} {
		a := b.get("/log?" + query)
		require.Equal(t, http.StatusOK, a.code, query)
		require.Len(t, a.deliveries(), len(want), query)
		for i, id := range want {
			require.Equal(t, id.String(), a.deliveries()[i], query)
		}
	}
	for _, query := range []string{"status=x", "type=a..b", "webhook=x", "event=x", "from=x", "to=yesterday", "from=0000-01-01"} {
		a := b.get("/log?" + query)
		require.Equal(t, http.StatusUnprocessableEntity, a.code, query)
		field, typed, _ := strings.Cut(query, "=")
		require.Regexp(t, `name="`+field+`"[^>]* aria-invalid="true" aria-describedby="e-`+field+`"`, a.body, query)
		require.Contains(t, a.body, `<p class="fault" id="e-`+field+`">`, query)
		if field != "status" { // Whose list has no place for it.
			require.Contains(t, a.body, `value="`+typed+`"`, "what was typed is kept")
		}
	}
	require.Equal(t, http.StatusBadRequest, b.get("/log?from_place=x").code)
	require.Equal(t, http.StatusBadRequest, b.get("/log?from_place=9999999999999999999_"+uuid.NewString()).code)
}

func TestPagesFollowEachOther(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://crm.example.com/hook")
	// Some bear the same time, as those of one transaction do.
	s.exec(`INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, user_id, url)
	  SELECT outbox.uuid7(), gen_random_uuid(), $1, now() - (n / 40) * interval '1 minute', 'accepted', CASE WHEN n % 3 = 0 THEN 'a' ELSE 'b' END,
	         'default', 'u', 'https://crm.example.com/hook' FROM generate_series(1, 230) AS n`, id)
	for _, path := range []string{"/log", "/log?type=a", "/log?webhook=" + id.String(), "/log?user=u", "/users/u"} {
		seen := map[string]bool{}
		pages := 0
		for next := path; next != ""; pages++ {
			a := s.browser().get(next)
			for _, d := range a.deliveries() {
				require.False(t, seen[d], "%s: %s twice", path, d)
				seen[d] = true
			}
			next = a.next()
		}
		want := 230
		if path == "/log?type=a" {
			want = 76
		}
		require.Len(t, seen, want, path)
		require.Equal(t, (want+49)/50, pages, path)
	}
}

func TestALongSearchIsCutShortAndGoesOn(t *testing.T) {
	s := newSite(t)
	s.exec(`INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, status, event_type, tenant, url)
	  SELECT gen_random_uuid(), gen_random_uuid(), '00000000-0000-0000-0000-000000000001', now() - n * interval '1 second', 'accepted',
	         CASE WHEN n = 59000 THEN 'rare' ELSE 'common' END, CASE WHEN n = 59500 THEN 'acme' ELSE 'default' END, 'https://x.example.com' FROM generate_series(1, 60000) AS n`)
	s.exec(`ANALYZE outbox.deliveries`)
	first := s.browser().get("/log?type=rare")
	require.Empty(t, first.deliveries())
	require.Contains(t, first.text(), "Searched back to")
	last := first
	for len(last.deliveries()) == 0 && last.next() != "" { // Once, or more often where the database is busy.
		last = s.browser().get(last.next())
	}
	require.Len(t, last.deliveries(), 1)
	require.Empty(t, last.next())

	for name, a := range map[string]answer{"the tenant": s.acme().get("/log"), "an operator": s.browser().get("/log?tenant=acme")} {
		require.Len(t, a.deliveries(), 1, "%s need not search for what a tenant was sent", name)
		require.Empty(t, a.next(), name)
	}

	walk, err := store.Browse(context.Background(), s.db, store.AllTenants(), store.LogFilter{Type: "rare"}, store.LogPlace{}, 50)
	require.NoError(t, err)
	require.True(t, walk.More)
	require.Less(t, time.Since(walk.Next.At), 59000*time.Second)
	nobody, err := store.Browse(context.Background(), s.db, store.Scope{}, store.LogFilter{Statuses: []outbox.Status{outbox.StatusAccepted}}, store.LogPlace{}, 50)
	require.NoError(t, err)
	require.Empty(t, nobody.Rows, "the zero scope is that of nobody")
}

func TestDeliveryAndReplay(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://crm.example.com/hook?token=t")
	s.exec(`UPDATE outbox.subscriptions SET headers = '{"Authorization": "hunter2"}'`)
	delivery := s.deliver(id, "user.invited", "42", `{"b": 1,  "a": 2}`, "rejected")
	b := s.browser()
	a := b.get("/deliveries/" + delivery.String())
	require.Equal(t, http.StatusOK, a.code)
	event := value[uuid.UUID](s, `SELECT event_id FROM outbox.deliveries`).String()
	for _, want := range []string{"1 attempt", "500 Internal Server Error", "12 ms", "answer body", `{"b": 1, "a": 2}`, "POST https://crm.example.com/hook?token=t",
		"webhook-id: " + event, "webhook-signature: made anew", "authorization: the webhook's own", "user-agent: relay/1.2.3", `"type":"user.invited"`} {
		require.Contains(t, a.text(), want)
	}
	require.NotContains(t, a.body, "hunter2")
	require.NotRegexp(t, secret, a.body)
	require.Equal(t, `{"b": 1,  "a": 2}`, b.get("/deliveries/"+delivery.String()+"/payload").body)

	made := b.post("/deliveries/"+delivery.String()+"/replay", nil)
	require.Equal(t, http.StatusSeeOther, made.code)
	again := b.get(made.header.Get("Location"))
	require.Contains(t, again.body, `href="/deliveries/`+delivery.String()+`"`, "it links to what it replays")
	replay := value[string](s, `SELECT id::text FROM outbox.deliveries WHERE replay_of IS NOT NULL`)
	require.Contains(t, b.get("/deliveries/"+delivery.String()).body, `href="/deliveries/`+replay+`"`, "and back")
	require.ElementsMatch(t, []string{delivery.String(), replay}, b.get("/log?event="+event).deliveries())

	s.exec(`UPDATE outbox.subscriptions SET active = false`)
	require.Equal(t, http.StatusConflict, b.post("/deliveries/"+delivery.String()+"/replay", nil).code)
	s.exec(`DELETE FROM outbox.subscriptions`)
	require.Contains(t, b.get("/deliveries/"+delivery.String()).text(), "Its webhook was removed")
	s.exec(`DELETE FROM outbox.events`)
	require.Equal(t, http.StatusConflict, b.post("/deliveries/"+delivery.String()+"/replay", nil).code)
	require.Contains(t, b.get("/deliveries/"+delivery.String()).text(), "removed after the retention")
	require.Equal(t, http.StatusNotFound, b.get("/deliveries/"+delivery.String()+"/payload").code)
}

func TestManyAttemptsLeaveThePayloadInSight(t *testing.T) {
	s := newSite(t)
	delivery := s.deliver(s.subscribe("default", "crm", "https://crm.example.com/hook"), "user.invited", "42", `{}`, "failed")
	s.exec(`INSERT INTO outbox.attempts (delivery_id, attempt, started_at, duration_ms, error_class, error)
	  SELECT $1, n, now() + n * interval '1 minute', 15000, 'timeout', 'no answer within 15s' FROM generate_series(2, 16) AS n`, delivery)
	text := s.browser().get("/deliveries/" + delivery.String()).text()
	require.Contains(t, text, "16 attempts")
	require.Contains(t, text, "11 earlier attempts")
	require.Contains(t, text, "no answer within 15s; tried again after 45 s")
	require.Less(t, strings.Index(text, "12 No answer"), strings.Index(text, "11 earlier attempts"))
	require.Greater(t, strings.Index(text, "11 No answer"), strings.Index(text, "11 earlier attempts"), "all are there")
}

func TestUsers(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://crm.example.com/hook")
	for _, user := range []string{"42", "a/b", "..", ".", "o'brien", "ü ñ", "%2F", "a?b#c", `back\slash`} {
		delivery := s.deliver(id, "user.invited", user, `{}`, "accepted")
		link := regexp.MustCompile(`<td class="user"><a href="([^"]*)"`).FindStringSubmatch(s.browser().get("/log").body)[1]
		link = regexp.MustCompile(`&#(\d+);`).ReplaceAllStringFunc(link, func(x string) string {
			var n int
			_, _ = fmt.Sscanf(x, "&#%d;", &n)
			return string(rune(n))
		})
		a := s.browser().get(link)
		require.Equal(t, http.StatusOK, a.code, "%s at %s", user, link)
		require.Equal(t, []string{delivery.String()}, a.deliveries(), user)
		// What the page says to ask is true.
		sql := regexp.MustCompile(`(?s)SELECT event_type, url.*?LIMIT 50;`).FindString(regexp.MustCompile(`\s+`).ReplaceAllString(a.text(), " "))
		require.Equal(t, 1, value[int](s, `SELECT count(*) FROM (`+sql[:len(sql)-1]+`) AS q`), sql)
	}
	require.Contains(t, s.browser().get("/users/nobody").text(), "Nothing was sent about this user")
	require.Equal(t, http.StatusOK, s.browser().get("/users").code)
}

func TestFind(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://crm.example.com/hook")
	delivery := s.deliver(id, "user.invited", "42", `{}`, "accepted")
	event := value[uuid.UUID](s, `SELECT event_id FROM outbox.deliveries`).String()
	for q, want := range map[string]string{
		delivery.String(): "/deliveries/" + delivery.String(), event: "/log?event=" + event, id.String(): "/webhooks/" + id.String(),
		"user.invited": "/log?type=user.invited", "user.*": "/log?type=user.%2A", "https://crm": "/log?url=https%3A%2F%2Fcrm", "42": "/users/42", "": "/log",
	} {
		require.Equal(t, want, s.browser().get("/find?q="+url.QueryEscape(q)).header.Get("Location"), q)
	}
}

func TestLiveRowsAreSentOnlyWhenTheyChange(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://crm.example.com/hook")
	s.deliver(id, "user.invited", "42", `{}`, "accepted")
	b := s.browser()
	b.header.Set("X-Fragment", "1")
	first := b.get("/log/rows")
	require.NotContains(t, first.body, "<html")
	b.header.Set("If-None-Match", first.header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, b.get("/log/rows").code)
	s.deliver(id, "user.invited", "43", `{}`, "accepted")
	require.Len(t, b.get("/log/rows").deliveries(), 2)
}
