package access

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/outboxrelay/relay/config"
)

const testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func users(t *testing.T) []config.User {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	require.NoError(t, err)
	return []config.User{{Name: "ada", PasswordHash: string(hash)}}
}

func newGate(t *testing.T, c config.HTTP) *Gate {
	t.Helper()
	g, err := New(c)
	require.NoError(t, err)
	return g
}

func TestWhoWithoutALogin(t *testing.T) {
	g := newGate(t, config.HTTP{Listen: "127.0.0.1:8080"})
	v, err := g.Who(httptest.NewRequest(http.MethodGet, "/", nil))
	require.NoError(t, err)
	require.True(t, v.Operator)
}

func TestWhoWithALogin(t *testing.T) {
	token, hash := NewToken()
	g := newGate(t, config.HTTP{Auth: config.Auth{Users: users(t), Tokens: []string{hash}}})
	for name, tt := range map[string]struct {
		set  func(*http.Request)
		want error
	}{
		"nothing":        {func(*http.Request) {}, ErrUnknown},
		"password":       {func(r *http.Request) { r.SetBasicAuth("ada", "correct horse") }, nil},
		"wrong password": {func(r *http.Request) { r.SetBasicAuth("ada", "x") }, ErrRefused},
		"unknown name":   {func(r *http.Request) { r.SetBasicAuth("eve", "correct horse") }, ErrRefused},
		"long password":  {func(r *http.Request) { r.SetBasicAuth("ada", strings.Repeat("x", 100)) }, ErrRefused},
		"token":          {func(r *http.Request) { r.Header.Set("Authorization", "bearer "+token) }, nil},
		"wrong token":    {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+hash) }, ErrRefused},
		"a cookie":       {func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookieName, Value: "x.y"}) }, ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			tt.set(r)
			v, err := g.Who(r)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, tt.want == nil, v.Operator)
			require.Empty(t, v.Tenant)
		})
	}
}

// begin returns a request that carries the cookie which g gives to v.
func begin(g *Gate, v Viewer, until time.Time, proto string) (*http.Request, *http.Cookie) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("X-Forwarded-Proto", proto)
	g.Begin(w, r, v, until)
	cookie := w.Result().Cookies()[0]
	r = httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(cookie)
	return r, cookie
}

func TestSessions(t *testing.T) {
	c := config.HTTP{Auth: config.Auth{Users: users(t)}, LinkKey: testKey}
	g := newGate(t, c)
	now := time.Now()
	g.now = func() time.Time { return now }

	r, cookie := begin(g, Viewer{Operator: true, Name: "ada"}, time.Time{}, "https")
	require.True(t, cookie.Secure && cookie.HttpOnly)
	v, err := g.Who(r)
	require.NoError(t, err)
	require.Equal(t, Viewer{Operator: true, Name: "ada"}, v)

	tenant, cookie := begin(g, Viewer{Tenant: "acme"}, now.Add(time.Hour), "")
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	v, err = g.Who(tenant)
	require.NoError(t, err)
	require.Equal(t, Viewer{Tenant: "acme"}, v)

	v, err = newGate(t, c).Who(tenant)
	require.NoError(t, err, "another relay with the same settings knows it")
	require.Equal(t, "acme", v.Tenant)
	c.Auth.Users = append(c.Auth.Users, config.User{Name: "grace", PasswordHash: c.Auth.Users[0].PasswordHash})
	_, err = newGate(t, c).Who(r)
	require.ErrorIs(t, err, ErrUnknown, "another login ends all sessions")
	c.LinkKey = ""
	_, err = newGate(t, c).Who(r)
	require.ErrorIs(t, err, ErrUnknown, "without a key, a restart does")

	now = now.Add(61 * time.Minute)
	_, err = g.Who(tenant)
	require.ErrorIs(t, err, ErrUnknown)
	now = now.Add(sessionLength)
	_, err = g.Who(r)
	require.ErrorIs(t, err, ErrUnknown)
}

func TestASealHoldsForItsPurpose(t *testing.T) {
	g := newGate(t, config.HTTP{LinkKey: testKey, Auth: config.Auth{Users: users(t)}})
	text, ok := g.Unseal("a", g.Seal("a", "x"))
	require.True(t, ok)
	require.Equal(t, "x", text)
	_, ok = g.Unseal("b", g.Seal("a", "x"))
	require.False(t, ok)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: g.Seal("a", `{"operator":true,"expires":99999999999}`)})
	_, err := g.Who(r)
	require.ErrorIs(t, err, ErrUnknown, "a form's seal is no session")
}

func TestLinks(t *testing.T) {
	g := newGate(t, config.HTTP{LinkKey: testKey})
	key, err := ParseLinkKey(testKey)
	require.NoError(t, err)
	for _, tenant := range []string{"acme", "a.b", "ü/ñ", "*"} {
		token, err := SignLink(key, tenant, time.Now().Add(time.Hour))
		require.NoError(t, err)
		v, until, err := g.Enter(token)
		require.NoError(t, err)
		require.Equal(t, Viewer{Tenant: tenant}, v)
		require.WithinDuration(t, time.Now().Add(time.Hour), until, 2*time.Second)
	}
	_, err = SignLink(key, "", time.Now().Add(time.Hour))
	require.Error(t, err, "no tenant would be all")
	_, err = SignLink(nil, "acme", time.Now())
	require.ErrorIs(t, err, ErrNoLinkKey)

	good, err := SignLink(key, "acme", time.Now().Add(time.Hour))
	require.NoError(t, err)
	other := append([]byte(nil), key...)
	other[0]++
	old, _ := SignLink(key, "acme", time.Now().Add(-time.Second))
	late, _ := SignLink(key, "acme", time.Now().Add(32*24*time.Hour))
	foreign, _ := SignLink(other, "acme", time.Now().Add(time.Hour))
	nobody := encode(nil) + ".99999999999"
	for name, token := range map[string]string{
		"expired": old, "too long": late, "another key": foreign, "empty": "", "cut": good[:len(good)-1], "another tenant": "cml2YWw" + good[4:],
		"no tenant": nobody + "." + encode(linkSum(key, nobody)),
	} {
		_, _, err := g.Enter(token)
		require.ErrorIs(t, err, ErrRefused, name)
	}
	_, _, err = newGate(t, config.HTTP{}).Enter(good)
	require.ErrorIs(t, err, ErrNoLinkKey)
}

func TestThrottle(t *testing.T) {
	th, now := newThrottle(), time.Now()
	for range freeFailures {
		require.Zero(t, th.wait("a", now))
		th.failed("a", now)
	}
	require.Equal(t, time.Second, th.wait("a", now))
	require.Zero(t, th.wait("b", now))
	for range 50 {
		th.failed("a", now)
	}
	require.Equal(t, longestWait, th.wait("a", now))
	require.Zero(t, th.wait("a", now.Add(longestWait)))
	require.Zero(t, th.wait("a", now.Add(forgetAfter+time.Second)))
	th.succeeded("a")
	require.Zero(t, th.wait("a", now))
	for i := range mostClients + 10 {
		th.failed(string(rune(i+1000)), now.Add(time.Duration(i)))
	}
	require.Len(t, th.clients, mostClients)

	require.Equal(t, clientKey("[2001:db8::1]:1"), clientKey("[2001:db8::ffff:2]:2"), "one network")
	require.NotEqual(t, clientKey("192.0.2.1:1"), clientKey("192.0.2.2:1"))
	require.Equal(t, clientKey("[::ffff:192.0.2.1]:1"), clientKey("192.0.2.1:9"))
}

func TestGuessingIsSlowedDownAlsoWhereThePasswordIsRemembered(t *testing.T) {
	g := newGate(t, config.HTTP{Auth: config.Auth{Users: users(t)}})
	ctx := context.Background()
	_, err := g.SignIn(ctx, "192.0.2.1:1", "ada", "correct horse")
	require.NoError(t, err)
	for range freeFailures {
		_, err = g.SignIn(ctx, "192.0.2.1:1", "ada", "x")
		require.ErrorIs(t, err, ErrRefused)
	}
	var wait *WaitError
	_, err = g.SignIn(ctx, "192.0.2.1:1", "ada", "y")
	require.ErrorAs(t, err, &wait)
	_, err = g.SignIn(ctx, "192.0.2.1:1", "ada", "correct horse")
	require.ErrorAs(t, err, &wait)
	_, err = g.SignIn(ctx, "192.0.2.2:1", "ada", "correct horse")
	require.NoError(t, err, "others need not wait")
}

func TestMetrics(t *testing.T) {
	token, hash := NewToken()
	ask := func(c config.HTTP, host, authorization string) int {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://"+host+"/metrics", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		newGate(t, c).Metrics(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	locked := config.HTTP{Auth: config.Auth{Tokens: []string{hash}}}
	require.Equal(t, http.StatusUnauthorized, ask(locked, "relay:8080", ""))
	require.Equal(t, http.StatusOK, ask(locked, "relay:8080", "Bearer "+token))
	open := locked
	open.OpenMetrics = true
	require.Equal(t, http.StatusOK, ask(open, "relay:8080", ""))
	require.Equal(t, http.StatusOK, ask(config.HTTP{}, "127.0.0.1:8080", ""))
	require.Equal(t, http.StatusMisdirectedRequest, ask(config.HTTP{}, "evil.example.com", ""))
}

func TestHashPassword(t *testing.T) {
	_, err := HashPassword("short")
	require.Error(t, err)
	_, err = HashPassword(strings.Repeat("x", 73))
	require.Error(t, err)
	hash, err := HashPassword("long enough")
	require.NoError(t, err)
	c := config.Default()
	c.HTTP.Auth.Users = []config.User{{Name: "ada", PasswordHash: hash}}
	require.Empty(t, c.Validate(), "what it makes is what the settings take")
}
