package console_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/console"
	"github.com/outboxrelay/relay/internal/receiver"
)

var secret = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{20,}`)

func TestAddAWebhook(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	form := b.get("/webhooks/new")
	require.Equal(t, http.StatusOK, form.code)
	filled := url.Values{
		"id": {form.field("id")}, "url": {" https://crm.example.com/hooks?k=v "}, "which": {"some"}, "type": {"user.*", "order.paid"},
		"others": {"invoice.sent, invoice.overdue"}, "name": {"crm"}, "tenant": {"acme"}, "rate": {"2,5"}, "concurrency": {"3"},
		"timeout": {"4.5"}, "header_name": {"Authorization", ""}, "header_value": {"Bearer hunter2", ""},
	}
	added := b.post("/webhooks", filled)
	require.Equal(t, http.StatusCreated, added.code, added.text())
	shown := secret.FindString(added.text())
	require.NotContains(t, added.body, "hunter2")
	require.Equal(t, "acme|crm|https://crm.example.com/hooks?k=v|{invoice.overdue,invoice.sent,order.paid,user.*}|"+
		`{"Authorization":"Bearer hunter2"}|2.5|3|00:00:04.5|`+shown,
		value[string](s, `SELECT concat_ws('|', tenant, name, url, event_types::text, headers::text, rate, concurrency, timeout, secret) FROM outbox.subscriptions`))

	again := b.post("/webhooks", filled)
	require.Equal(t, http.StatusSeeOther, again.code, "the same form makes one webhook")
	require.Equal(t, 1, value[int](s, `SELECT count(*) FROM outbox.subscriptions`))
	page := b.get(again.header.Get("Location"))
	require.Equal(t, http.StatusOK, page.code)
	require.NotRegexp(t, secret, page.body, "the secret is shown once")
	require.NotContains(t, s.log.String(), shown)
}

func TestWrongInputIsAnsweredBesideItsField(t *testing.T) {
	s := newSite(t)
	s.subscribe("default", "taken", "https://x.example.com/")
	good := func() url.Values {
		return url.Values{"url": {"https://x.example.com/typed"}, "which": {"some"}, "type": {"user.*"}, "others": {"typed.type"},
			"name": {"typed name"}, "tenant": {"default"}, "rate": {"7"}, "header_name": {"X-Typed"}, "header_value": {"typed value"}}
	}
	for name, tt := range map[string]struct{ field, value, want string }{
		"no url":         {"url", "", "is missing: where are the events to be sent?"},
		"no scheme":      {"url", "x.example.com", "must begin with http:// or https://"},
		"userinfo":       {"url", "https://u:p@x.example.com", "must have no user or password"},
		"port":           {"url", "https://x.example.com:99999", "has a port that is not between 1 and 65535"},
		"space":          {"url", "https://x.example.com/a b", "must have no spaces"},
		"back slash":     {"url", `https://x.example.com\@y`, ""},
		"types":          {"others", "a..b", "“a..b” is neither an event type"},
		"ticked":         {"type", "a b", "“a b” is not an event type"},
		"name taken":     {"name", "taken", "is taken by another webhook"},
		"long name":      {"name", strings.Repeat("x", 101), "must have no more than 100 characters"},
		"no tenant":      {"tenant", "", "is missing"},
		"rate":           {"rate", "0", "must be a number from 0.001 to 100000"},
		"rate words":     {"rate", "fast", "must be a number from 0.001 to 100000"},
		"concurrency":    {"concurrency", "1.5", "must be a whole number"},
		"timeout":        {"timeout", "3601", "must be a number from 0.001 to 3600"},
		"header name":    {"header_name", "a b", "is not a header name"},
		"own header":     {"header_name", "Webhook-Id", "is set by the relay"},
		"header value":   {"header_value", "a\x01b", "has a control character"},
		"nameless value": {"header_name", "", "a value has no name"},
	} {
		t.Run(name, func(t *testing.T) {
			form := good()
			form.Set(tt.field, tt.value)
			a := s.browser().post("/webhooks", form)
			require.Equal(t, http.StatusUnprocessableEntity, a.code, a.text())
			require.Contains(t, a.text(), tt.want)
			require.Regexp(t, `aria-invalid="true"|aria-describedby="e-`, a.body)
			require.Contains(t, a.body, `class="fault" id="e-`, "beside the field")
			for field := range good() {
				if field == tt.field || field == "which" || field == "type" || field == "others" && tt.field == "type" {
					continue
				}
				require.Contains(t, a.body, `value="`+good().Get(field)+`"`, "what was typed into %s is kept", field)
			}
			require.Equal(t, 1, value[int](s, `SELECT count(*) FROM outbox.subscriptions`))
		})
	}
	t.Run("several at once", func(t *testing.T) {
		a := s.browser().post("/webhooks", url.Values{"url": {"x"}, "which": {"some"}, "rate": {"x"}, "tenant": {"default"}})
		require.Contains(t, a.text(), "Event types are missing: choose at least one, or everything")
		require.Contains(t, a.text(), "Requests a second must be a number")
	})
	t.Run("what no column can hold", func(t *testing.T) {
		for _, text := range []string{"a\x00b", "\xff"} {
			require.Equal(t, http.StatusBadRequest, s.browser().post("/webhooks", url.Values{"url": {text}}).code)
			require.Equal(t, http.StatusBadRequest, s.browser().get("/log?user="+url.QueryEscape(text)).code)
			require.Equal(t, http.StatusBadRequest, s.browser().get("/users/"+url.PathEscape(text)).code)
		}
	})
}

// Every constraint of the table has a field, for what the checks in Go should let through one day.
func TestEveryConstraintHasAField(t *testing.T) {
	s := newSite(t)
	names, err := s.db.Query(context.Background(), `SELECT conname FROM pg_constraint WHERE conrelid = 'outbox.subscriptions'::regclass AND contype IN ('c', 'u')`)
	require.NoError(t, err)
	defer names.Close()
	for names.Next() {
		var name string
		require.NoError(t, names.Scan(&name))
		if strings.Contains(name, "secret") || strings.Contains(name, "times") { // The database makes them.
			continue
		}
		require.Contains(t, console.Refusals(), name)
	}
	require.NoError(t, names.Err())
}

func TestEditAWebhook(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://x.example.com/")
	s.exec(`UPDATE outbox.subscriptions SET headers = '{"Authorization": "hunter2", "X-Old": "old"}'`)
	b := s.browser()
	path := "/webhooks/" + id.String() + "/edit"
	form := b.get(path)
	require.NotContains(t, form.body, "hunter2", "values of headers are not shown")
	filled := url.Values{
		"seen": {form.field("seen")}, "url": {"https://y.example.com/"}, "which": {"all"}, "name": {""},
		"header_name": {"Authorization", "X-Old", "X-New"}, "header_value": {"", "", "new"}, "header_remove": {"X-Old"},
	}
	saved := b.post(path, filled)
	require.Equal(t, http.StatusSeeOther, saved.code, saved.text())
	require.Equal(t, `https://y.example.com/|{*}|{"Authorization":"hunter2","X-New":"new"}`,
		value[string](s, `SELECT concat_ws('|', name, url, event_types::text, headers::text) FROM outbox.subscriptions`))

	filled.Set("url", "https://z.example.com/")
	conflict := b.post(path, filled)
	require.Equal(t, http.StatusConflict, conflict.code, "it was changed since the form was made")
	require.Contains(t, conflict.body, `value="https://z.example.com/"`)
	filled.Set("seen", conflict.field("seen"))
	require.Equal(t, http.StatusSeeOther, b.post(path, filled).code, "sent again, it wins")
}

func TestRotateASecret(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://x.example.com/")
	old := value[string](s, `SELECT secret FROM outbox.subscriptions`)
	b := s.browser()
	path := "/webhooks/" + id.String() + "/rotate"
	filled := url.Values{"seen": {b.get(path).field("seen")}, "overlap": {"1h"}}
	a := b.post(path, filled)
	require.Equal(t, http.StatusOK, a.code)
	require.Equal(t, value[string](s, `SELECT secret FROM outbox.subscriptions`), secret.FindString(a.text()))
	require.NotContains(t, a.body, old)
	require.Equal(t, old, value[string](s, `SELECT previous_secret FROM outbox.subscriptions`))
	require.True(t, value[bool](s, `SELECT previous_secret_expires_at BETWEEN now() + interval '59 min' AND now() + interval '61 min' FROM outbox.subscriptions`))

	again := b.post(path, filled)
	require.Equal(t, http.StatusConflict, again.code, "a form sent twice rotates once")
	require.NotRegexp(t, secret, again.body)
	require.NotRegexp(t, secret, b.get("/webhooks/"+id.String()).body)
	for _, bad := range []string{"", "-1h", "x", "9999h"} {
		require.Equal(t, http.StatusBadRequest, b.post(path, url.Values{"seen": {b.get(path).field("seen")}, "overlap": {bad}}).code, bad)
	}
}

func TestSwitchAndRemove(t *testing.T) {
	s := newSite(t)
	id := s.subscribe("default", "crm", "https://x.example.com/")
	b := s.browser()
	path := "/webhooks/" + id.String()
	require.Equal(t, http.StatusSeeOther, b.post(path+"/switch", url.Values{"to": {"off"}}).code)
	require.False(t, value[bool](s, `SELECT active FROM outbox.subscriptions`))
	require.Contains(t, b.get(path).text(), "Switched off")
	require.Equal(t, http.StatusSeeOther, b.post(path+"/switch", url.Values{"to": {"on"}}).code)
	require.True(t, value[bool](s, `SELECT active FROM outbox.subscriptions`))
	require.Equal(t, http.StatusBadRequest, b.post(path+"/switch", nil).code)

	require.Equal(t, http.StatusOK, b.get(path+"/remove").code)
	require.Equal(t, 1, value[int](s, `SELECT count(*) FROM outbox.subscriptions`), "asking removes nothing")
	require.Equal(t, http.StatusSeeOther, b.post(path+"/remove", nil).code)
	require.Equal(t, http.StatusNotFound, b.get(path).code)
}

func TestADeclaredWebhookIsOnlyTested(t *testing.T) {
	s := newSite(t)
	got := receiver.New(t, nil)
	id := s.subscribe("default", "crm", got.URL())
	s.exec(`UPDATE outbox.subscriptions SET declared = true`)
	before := value[string](s, rows)
	b := s.browser()
	path := "/webhooks/" + id.String()
	page := b.get(path)
	require.Contains(t, page.text(), "Kept by relay.yaml")
	require.NotContains(t, page.body, "/edit")
	form := url.Values{"url": {"https://y.example.com"}, "which": {"all"}, "seen": {"1"}, "to": {"off"}, "overlap": {"1h"}}
	for _, action := range []string{"/edit", "/switch", "/rotate", "/remove"} {
		require.Equal(t, http.StatusConflict, b.post(path+action, form).code, action)
	}
	require.Equal(t, before, value[string](s, rows))
	require.Contains(t, b.post(path+"/test", url.Values{"type": {"user.invited"}}).text(), "200 OK")
}

func TestTest(t *testing.T) {
	s := newSite(t)
	got := receiver.New(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("short and <b>stout</b>"))
	}))
	id := s.subscribe("default", "crm", got.URL())
	b := s.browser()
	path := "/webhooks/" + id.String() + "/test"
	a := b.post(path, url.Values{"type": {"user.invited"}})
	require.Contains(t, a.text(), "418 I'm a teapot")
	require.Contains(t, a.body, "short and &lt;b&gt;stout&lt;/b&gt;")
	request := got.WaitFor(1)[0]
	require.NoError(t, request.Verify(value[string](s, `SELECT secret FROM outbox.subscriptions`)), "signed like any other")
	require.Contains(t, string(request.Body), `"data":{"email": "ada@example.com"}}`)
	require.Zero(t, value[int](s, `SELECT count(*) FROM outbox.deliveries`), "nothing is logged")

	require.Contains(t, a.text(), "A delivery would be rejected, and not tried again.")

	b.header.Set("X-Fragment", "1")
	part := b.post(path, url.Values{"type": {"order.paid"}})
	require.NotContains(t, part.body, "<html")
	require.Contains(t, part.text(), "418")
	require.Equal(t, http.StatusBadRequest, b.post(path, url.Values{"type": {"no.such"}}).code)
	require.Equal(t, http.StatusNotFound, b.post("/webhooks/"+uuid.NewString()+"/test", url.Values{"type": {"order.paid"}}).code)
	got.Down()
	down := b.post(path, url.Values{"type": {"order.paid"}}).text()
	require.Contains(t, down, "No answer")
	require.Contains(t, down, "A delivery would be tried again after 6 s.")
}
