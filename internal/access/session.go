package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/outboxrelay/relay/config"
)

const (
	cookieName = "relay_session"
	// sessionLength is a working day: an operator's session ends after it, used or not.
	sessionLength = 12 * time.Hour
)

// session is what the cookie holds.
type session struct {
	Operator bool   `json:"operator,omitempty"`
	Name     string `json:"name,omitempty"`
	Tenant   string `json:"tenant,omitempty"`
	Expires  int64  `json:"expires"` // Unix seconds.
}

// Begin makes a viewer's session and sets its cookie. An operator's lasts a working day, a tenant's as long as its link.
func (g *Gate) Begin(w http.ResponseWriter, r *http.Request, v Viewer, until time.Time) {
	cookie := http.Cookie{
		Name: cookieName, Path: "/", HttpOnly: true, Secure: isSecure(r), SameSite: http.SameSiteStrictMode, Expires: until,
	}
	if v.Operator {
		cookie.SameSite = http.SameSiteLaxMode // So that a link in a chat or an alert opens; nothing is changed by GET.
		cookie.Expires = g.now().Add(sessionLength)
	}
	text, _ := json.Marshal(session{v.Operator, v.Name, v.Tenant, cookie.Expires.Unix()}) // Always marshals.
	cookie.Value = g.sessions.seal("session", string(text))
	http.SetCookie(w, &cookie)
}

// End has the browser forget its session.
func (g *Gate) End(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", HttpOnly: true, Secure: isSecure(r), MaxAge: -1})
}

func (g *Gate) bySession(r *http.Request) (Viewer, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return Viewer{}, false
	}
	text, ok := g.sessions.open("session", cookie.Value)
	if !ok {
		return Viewer{}, false
	}
	var s session
	if json.Unmarshal([]byte(text), &s) != nil || g.now().Unix() >= s.Expires {
		return Viewer{}, false
	}
	switch {
	case s.Operator && g.Required():
		return Viewer{Operator: true, Name: s.Name}, true
	case !s.Operator && s.Tenant != "":
		return Viewer{Tenant: s.Tenant}, true
	}
	return Viewer{}, false
}

// isSecure says whether the browser came by TLS, as whatever ends it says.
func isSecure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// Seal returns text with a seal that Unseal knows, for what a form carries to and fro. A seal made for one purpose is
// none for another. Seals of relays without a common http.link_key, and of before a restart, are not known.
func (g *Gate) Seal(purpose, text string) string { return g.sessions.seal("form "+purpose, text) }

// Unseal returns the text that Seal was given for that purpose.
func (g *Gate) Unseal(purpose, sealed string) (string, bool) {
	return g.sessions.open("form "+purpose, sealed)
}

// sealer signs what a browser keeps for us.
type sealer struct{ key []byte }

// newSealer derives its key from the link key and who may come in. Neither of the two alone is enough to make a session:
// the link key is known to host apps, the hashes to whoever reads relay.yaml. A changed password ends all sessions.
// Without a link key it is random.
func newSealer(linkKey []byte, auth config.Auth) sealer {
	if linkKey == nil {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // Never fails.
		return sealer{key}
	}
	mac := hmac.New(sha256.New, linkKey)
	mac.Write([]byte("relay sessions 1\x00"))
	text, _ := json.Marshal(auth) // Always marshals.
	mac.Write(text)
	return sealer{mac.Sum(nil)}
}

func (s sealer) sum(purpose, text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(purpose + "\x00" + text))
	return mac.Sum(nil)
}

func (s sealer) seal(purpose, text string) string {
	return encode([]byte(text)) + "." + encode(s.sum(purpose, text))
}

func (s sealer) open(purpose, sealed string) (string, bool) {
	first, second, _ := strings.Cut(sealed, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return "", false
	}
	sum, err := base64.RawURLEncoding.DecodeString(second)
	if err != nil || !hmac.Equal(sum, s.sum(purpose, string(text))) {
		return "", false
	}
	return string(text), true
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
