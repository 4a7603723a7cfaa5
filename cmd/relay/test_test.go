package main

import (
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/receiver"
)

func TestTest(t *testing.T) {
	db, r := on(t, pgtest.Migrated(t)), receiver.New(t, nil)
	require.NoError(t, os.WriteFile("relay.yaml", []byte(catalogue), 0o600))
	did(t, "init")
	did(t, "subscriptions", "add", "--name", "crm", "--url", r.URL(), "--event-types", "order.*", "--header", "X-Token: abc")
	secret := pgtest.Value[string](t, db, "SELECT secret FROM outbox.subscriptions")
	id := pgtest.Value[string](t, db, "SELECT id::text FROM outbox.subscriptions")

	t.Run("accepted", func(t *testing.T) {
		require.Regexp(t, `^POST `+r.URL()+` \(order\.paid\)\naccepted: 200 OK in \d+ ms\n$`, did(t, "test", "crm"))
		last := r.Requests()[r.Len()-1]
		require.NoError(t, last.Verify(secret))
		require.Equal(t, "abc", last.Header.Get("X-Token"))
		require.Contains(t, string(last.Body), `"type":"order.paid"`)
	})
	t.Run("by id and URL", func(t *testing.T) {
		did(t, "test", id)
		did(t, "test", r.URL())
		require.NoError(t, r.Requests()[r.Len()-1].Verify(secret), "a URL that is subscribed gets its signature")
	})
	t.Run("type", func(t *testing.T) {
		require.Contains(t, did(t, "test", "crm", "--type", "user.invited"), "(user.invited)")
		require.Contains(t, string(r.Requests()[r.Len()-1].Body), `"data":{"email": "ada@example.com",  "n": 1.0}`, "byte for byte")
		require.Equal(t, "relay: --type \"user.gone\": the catalogue has no such event type; it has order.paid, user.invited\n",
			refused(t, exitUsage, "test", "crm", "--type", "user.gone"))
		did(t, "subscriptions", "add", "--name", "other", "--url", r.URL()+"/other", "--event-types", "else")
		require.Equal(t, "relay: --type \"b a d\": is no event type, such as user.invited\n", refused(t, exitUsage, "test", "crm", "--type", "b a d"))
		require.Equal(t, "relay: --type \"user.gone\": the catalogue has no such event type; it has order.paid, user.invited\n",
			refused(t, exitUsage, "test", r.URL()+"/nobody", "--type", "user.gone"))
	})
	t.Run("plain", func(t *testing.T) {
		s := do("test", "other")
		require.Contains(t, s.out, "(ping)\naccepted: 200 OK")
		require.Equal(t, "relay: note: other takes none of the event types of the catalogue (order.paid, user.invited): a plain sample is sent\n", s.err)
		require.Contains(t, string(r.Requests()[r.Len()-1].Body), ping.Sample)

		s = do("test", "crm", "--type", "order.lost")
		require.Contains(t, s.out, "(order.lost)\naccepted: 200 OK")
		require.Equal(t, "relay: note: the catalogue has no order.lost (it has order.paid, user.invited): a plain sample is sent\n", s.err)
		require.Contains(t, string(r.Requests()[r.Len()-1].Body), ping.Sample)
	})
	t.Run("rejected", func(t *testing.T) {
		r.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusGone)
			_, _ = w.Write([]byte("moved \x1b[31maway\n\tlong ago"))
		}))
		defer r.SetHandler(nil)
		s := do("test", "crm")
		require.Equal(t, exitFailed, s.code)
		require.Regexp(t, `\nnot accepted: 410 Gone in \d+ ms\n\n  moved \\x1b\[31maway\n      long ago\n$`, s.out)
		require.Empty(t, s.err)

		s = do("test", "crm", "--json")
		require.Equal(t, exitFailed, s.code)
		answer := jsonLines[tested](t, s.out)
		require.Len(t, answer, 1)
		require.False(t, answer[0].Accepted)
		require.Equal(t, 410, *answer[0].ResponseCode)
		require.Equal(t, id, *answer[0].Subscription)
		require.Nil(t, answer[0].ErrorClass)
	})
	t.Run("redirected", func(t *testing.T) {
		r.SetHandler(http.RedirectHandler("/elsewhere", http.StatusFound))
		defer r.SetHandler(nil)
		before := r.Len()
		require.Equal(t, exitFailed, do("test", "crm").code)
		require.Equal(t, before+1, r.Len(), "redirects are not followed")
	})
	t.Run("switched off", func(t *testing.T) {
		did(t, "subscriptions", "disable", "crm")
		s := do("test", "crm")
		require.Equal(t, exitDone, s.code)
		require.Equal(t, "relay: warning: crm is switched off: it receives no events\n", s.err)
	})
	t.Run("one of several", func(t *testing.T) { // After it was renamed in relay.yaml.
		did(t, "subscriptions", "add", "--name", "renamed", "--tenant", "acme", "--url", r.URL(), "--event-types", "order.*")
		s := do("test", r.URL())
		require.Equal(t, exitDone, s.code, s.err)
		require.Empty(t, s.err)
		require.NoError(t, r.Requests()[r.Len()-1].Verify(pgtest.Value[string](t, db, "SELECT secret FROM outbox.subscriptions WHERE name = 'renamed'")))
		did(t, "subscriptions", "enable", "crm")
		require.Contains(t, refused(t, exitUsage, "test", r.URL()), "fits several subscriptions: ")
	})
	require.Zero(t, pgtest.Value[int](t, db, "SELECT (SELECT count(*) FROM outbox.events) + (SELECT count(*) FROM outbox.deliveries) "+
		"+ (SELECT count(*) FROM outbox.attempts)"), "nothing is logged")
}

func TestTestOfAURLThatNobodySubscribed(t *testing.T) {
	on(t, pgtest.Migrated(t))
	r := receiver.New(t, nil)
	require.Contains(t, did(t, "test", r.URL()), "(ping)\naccepted: 200 OK")
	require.Contains(t, did(t, "test", r.URL(), "--type", "any.thing"), "(any.thing)\n")
	require.Equal(t, "relay: --type \"b a d\": is no event type, such as user.invited\n", refused(t, exitUsage, "test", r.URL(), "--type", "b a d"))
	require.Equal(t, 2, r.Len())

	require.Equal(t, "relay: no subscription \"crm\"; `relay subscriptions list` shows those there are\n", refused(t, exitFailed, "test", "crm"))
	require.Equal(t, "relay: cannot be sent to: url: must begin with http:// or https://\n", refused(t, exitUsage, "test", "ftp://example.com/"))
	require.Equal(t, "relay: cannot be sent to: url: must have no user or password: put credentials into headers\n", refused(t, exitUsage, "test", "http://u:s3cr3t@example.com/"))
}

func TestTestOfAURLThatCannotBeReached(t *testing.T) {
	on(t, pgtest.Migrated(t))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := closed.Addr().String()
	require.NoError(t, closed.Close())
	for _, c := range []struct{ url, class, says string }{
		{"http://" + address + "/", "connect", "connection refused"},
		{"http://no-such-host.invalid/", "dns", "no-such-host.invalid"},
		{"http://10.1.2.3/", "blocked", "10.1.2.3"},
	} {
		s := do("test", c.url)
		require.Equal(t, exitFailed, s.code)
		require.Contains(t, s.out, "POST "+c.url+" (ping)\nnot reached: "+c.class+": ")
		require.Contains(t, s.out, c.says)
		require.Empty(t, s.err)
		answer := jsonLines[tested](t, do("test", c.url, "--json").out)
		require.Equal(t, c.class, *answer[0].ErrorClass)
		require.Nil(t, answer[0].ResponseCode)
		require.Nil(t, answer[0].Subscription)
	}
}
