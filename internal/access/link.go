package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// linkLabel begins what is signed, so that a signature made for something else with the same key is of no use here.
const linkLabel = "relay-link-1"

// LinkPath is where a link's token is handed in: http://relay.example.com + LinkPath + token.
const LinkPath = "/enter?token="

// ErrNoLinkKey is returned where links are to be made or taken and http.link_key is not set.
var ErrNoLinkKey = errors.New("http.link_key is not set: `openssl rand -base64 32` makes one")

// ParseLinkKey reads http.link_key; empty is no key and no error.
func ParseLinkKey(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) < sha256.Size {
		return nil, errors.New("http.link_key: must be the base64 of 32 bytes or more")
	}
	return key, nil
}

// SignLink makes the token of a link that shows one tenant, and nothing else, until it expires:
//
//	base64url(tenant) "." expires "." base64url(HMAC-SHA256(key, "relay-link-1." base64url(tenant) "." expires))
//
// with base64url without padding and expires in Unix seconds. docs/console.md tells host apps how to make one.
func SignLink(key []byte, tenant string, expires time.Time) (string, error) {
	if key == nil {
		return "", ErrNoLinkKey
	}
	if tenant == "" || !utf8.ValidString(tenant) || strings.ContainsRune(tenant, 0) {
		return "", errors.New("a link needs a tenant")
	}
	text := encode([]byte(tenant)) + "." + strconv.FormatInt(expires.Unix(), 10)
	return text + "." + encode(linkSum(key, text)), nil
}

func linkSum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(linkLabel + "." + text))
	return mac.Sum(nil)
}

// longestLink bounds how long a link holds, whatever it says: it can't be taken back but by another http.link_key.
const longestLink = 31 * 24 * time.Hour

// Enter returns who a link's token lets in, and until when. The error is ErrRefused, or ErrNoLinkKey.
func (g *Gate) Enter(token string) (Viewer, time.Time, error) {
	if g.linkKey == nil {
		return Viewer{}, time.Time{}, ErrNoLinkKey
	}
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return Viewer{}, time.Time{}, ErrRefused
	}
	text := token[:at]
	sum, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil || !hmac.Equal(sum, linkSum(g.linkKey, text)) {
		return Viewer{}, time.Time{}, ErrRefused
	}
	encoded, seconds, _ := strings.Cut(text, ".")
	tenant, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(tenant) == 0 || !utf8.Valid(tenant) || strings.ContainsRune(string(tenant), 0) {
		return Viewer{}, time.Time{}, ErrRefused
	}
	unix, err := strconv.ParseInt(seconds, 10, 64)
	expires := time.Unix(unix, 0)
	if err != nil || !g.now().Before(expires) || expires.Sub(g.now()) > longestLink {
		return Viewer{}, time.Time{}, ErrRefused
	}
	return Viewer{Tenant: string(tenant)}, expires, nil
}
