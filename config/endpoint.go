package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckURL says what is wrong with a URL that somebody wants events sent to, without showing what may be a secret in it; nil
// where the table of subscriptions takes it. It is stricter than the relay is with what the table holds.
func CheckURL(text string) error {
	if text == "" {
		return errors.New("is missing")
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, invisible) {
		return errors.New("must have no spaces or invisible characters: write %20 for a space")
	}
	u, err := url.Parse(text) // Its error may show a password.
	switch {
	case err != nil:
		return errors.New("is not a URL: write https://host/path")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must begin with http:// or https://")
	case u.User != nil:
		return errors.New("must have no user or password: put credentials into headers")
	case u.Hostname() == "":
		return errors.New("has no host: write https://host/path")
	case strings.HasPrefix(u.Host, "["):
		if address, err := netip.ParseAddr(u.Hostname()); err != nil || !address.Is6() || address.Zone() != "" {
			return errors.New("has no IPv6 address in the brackets, or one with a zone (%), which has a meaning on one machine alone")
		}
	case !plainHost.MatchString(text):
		return errors.New("has a host with characters that no host has: write https://host/path")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has a port that is not between 1 and 65535")
		}
	}
	return nil
}

// plainHost is the host of outbox.valid_url, where it is no address in brackets; the rest of it url.Parse sees to.
var plainHost = regexp.MustCompile("(?i)^https?://[^/?#@:%`{|}\\[\\\\\\]^]+(:[0-9]*)?([/?#]|$)")

// invisible is what [[:space:]] and [[:cntrl:]] are to one collation or another.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Z)
}

// urlFault says what is wrong with a subscription's URL.
func urlFault(text string, https bool) string {
	if err := CheckURL(text); err != nil {
		return err.Error()
	}
	if u, _ := url.Parse(text); https && u.Scheme != "https" {
		return fmt.Sprintf("is http (host %s), and network.require_https is on", u.Hostname())
	}
	return ""
}

func secretFault(secret string) string {
	if secret == "" {
		return "" // The database makes one.
	}
	text, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	// The decoder skips line breaks.
	if !ok || err != nil || strings.ContainsAny(text, "\r\n") || len(key) < 24 || len(key) > 64 {
		return "must be whsec_ and the base64 of 24 to 64 bytes; leave it out to have one made"
	}
	return ""
}
