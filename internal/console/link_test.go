package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/access"
)

func (s *site) token(tenant string) string {
	s.t.Helper()
	key, err := access.ParseLinkKey(linkKey)
	require.NoError(s.t, err)
	token, err := access.SignLink(key, tenant, time.Now().Add(time.Hour))
	require.NoError(s.t, err)
	return token
}

func TestALinkLetsATenantIn(t *testing.T) {
	s := newSite(t)
	s.subscribe("acme", "acme hook", "https://acme.example.com/")
	s.subscribe("rival", "rival hook", "https://rival.example.com/")
	b := s.browser()
	door := b.get(access.LinkPath + url.QueryEscape(s.token("acme")))
	require.Equal(t, http.StatusOK, door.code)
	require.Empty(t, door.header.Values("Set-Cookie"), "nothing begins by GET")

	in := b.post("/enter", url.Values{"token": {door.field("token")}})
	require.Equal(t, http.StatusSeeOther, in.code)
	cookie := in.header.Get("Set-Cookie")
	require.Contains(t, cookie, "HttpOnly")
	require.Contains(t, cookie, "SameSite=Strict")

	page := b.get("/")
	require.Contains(t, page.body, "acme hook")
	require.NotContains(t, page.body, "rival hook")
	require.NotContains(t, page.body, "Overview")

	out := b.post("/sign-out", nil)
	require.Contains(t, out.header.Get("Set-Cookie"), "Max-Age=0")
}

func TestABadLinkLetsNobodyIn(t *testing.T) {
	s := newSite(t)
	for _, token := range []string{"", "x", s.token("acme") + "x", "YWNtZQ.99999999999.AAAA"} {
		require.Equal(t, http.StatusForbidden, s.browser().get(access.LinkPath+url.QueryEscape(token)).code)
		require.Equal(t, http.StatusForbidden, s.browser().post("/enter", url.Values{"token": {token}}).code)
	}
}
