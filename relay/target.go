package relay

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Target is where a delivery goes: a subscription as it is now. It is not changed once made, and shared by goroutines.
type Target struct {
	URL     *url.URL
	Secrets []Secret    // The newest first; two while a secret is being rotated.
	Header  http.Header // The subscription's own headers, keys in canonical form.

	Timeout time.Duration // In place of the sender's; 0: the sender's.

	signers []*signer // One for each of Secrets.
}

// NewTarget checks what a subscription says. previousSecret is empty unless a secret is being rotated. Errors name the
// field that is wrong and contain nothing of the URL, the secrets or the headers' values.
func NewTarget(rawURL, secret, previousSecret string, headers map[string]string) (*Target, error) {
	u, err := parseTargetURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	t := &Target{URL: u}
	for _, s := range []struct{ field, value string }{{"secret", secret}, {"previous_secret", previousSecret}} {
		if s.field == "previous_secret" && s.value == "" {
			continue
		}
		key, err := ParseSecret(s.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.field, err)
		}
		t.Secrets = append(t.Secrets, key)
	}
	t.signers = newSigners(t.Secrets)
	if t.Header, err = targetHeader(headers); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	return t, nil
}

// parseTargetURL never passes on an error of net/url: those print what they choked on, passwords and tokens included.
func parseTargetURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("must begin with http:// or https://")
	case u.User != nil:
		return nil, errors.New("must have no user or password")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case strings.HasSuffix(u.Host, ":"): // an empty port is the default one
		u.Host = strings.TrimSuffix(u.Host, ":")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port that is not between 1 and 65535")
		}
	}
	u.RawQuery = strings.ReplaceAll(u.RawQuery, " ", "%20") // as the path's are
	u.Fragment, u.RawFragment = "", ""                      // never sent
	return u, nil
}

// targetHeader checks the headers as outbox.valid_headers does. Names that differ in case alone are sent both, in a
// settled order.
func targetHeader(headers map[string]string) (http.Header, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	header := make(http.Header, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		switch {
		case !validHeaderName(name):
			return nil, fmt.Errorf("%q is not a header name", name)
		case reservedHeaders[strings.ToLower(name)]:
			return nil, fmt.Errorf("%q is set by the relay", name)
		case !validHeaderValue(headers[name]):
			return nil, fmt.Errorf("the value of %q has a control character", name)
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		header[key] = append(header[key], headers[name])
	}
	return header, nil
}

// reservedHeaders are those that HTTP or the signature need, and the two that clients and proxies take for leave to send a
// POST again by themselves. The same as in outbox.valid_headers.
var reservedHeaders = map[string]bool{
	"host": true, "content-length": true, "content-type": true, "transfer-encoding": true, "connection": true,
	"upgrade": true, "te": true, "trailer": true, "expect": true, "keep-alive": true, "user-agent": true,
	"accept-encoding": true, "idempotency-key": true, "x-idempotency-key": true,
	"webhook-id": true, "webhook-timestamp": true, "webhook-signature": true,
}

// validHeaderName reports whether name is an RFC 9110 token.
func validHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// validHeaderValue reports whether value has no control character but the tab.
func validHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
