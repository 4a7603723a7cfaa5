package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

func (h HTTP) validate(f *faults) {
	h.Auth.validate(f)
	for i, name := range h.Hosts {
		if !hostName.MatchString(name) {
			f.add(fmt.Sprintf("http.hosts[%d]", i), "%q is not a host name: write relay.example.com, without scheme and port", name)
		}
	}
	for i, origin := range h.FrameAncestors {
		if !isOrigin(origin) {
			f.add(fmt.Sprintf("http.frame_ancestors[%d]", i), "%q is not an origin: write https://app.example.com", origin)
		}
	}
	if what := linkKeyFault(h.LinkKey); what != "" {
		f.add("http.link_key", "%s", what)
	}
	h.validateListen(f)
}

func (h HTTP) validateListen(f *faults) {
	if h.Listen == "" {
		return
	}
	_, port, err := net.SplitHostPort(h.Listen)
	if err != nil {
		f.add("http.listen", "%q is not host:port: write 127.0.0.1:8080, or \"\" to switch it off", h.Listen)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		f.add("http.listen", "%q is not a port: 0 to 65535", port)
		return
	}
	if h.Console && !h.Auth.Required() && !h.Loopback() {
		f.add("http.auth", "is empty, and http.listen (%s) can be reached from elsewhere: add a user "+
			"(`relay hash-password` makes the hash) or a token, or set http.console: false", h.Listen)
	}
}

// Loopback says whether the server can be reached from this machine alone.
func (h HTTP) Loopback() bool {
	host, _, err := net.SplitHostPort(h.Listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

var (
	bcryptHash = regexp.MustCompile(`^\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)
)

func (a Auth) validate(f *faults) {
	seen := make(map[string]bool)
	for i, u := range a.Users {
		at := fmt.Sprintf("http.auth.users[%d]", i)
		switch {
		case u.Name == "":
			f.add(at+".name", "is missing")
		case strings.ContainsAny(u.Name, ":\x00\r\n"):
			f.add(at+".name", "holds a colon or a line break, which a login can't carry")
		case seen[u.Name]:
			f.add(at+".name", "%q is there already", u.Name)
		}
		seen[u.Name] = true
		if !bcryptHash.MatchString(u.PasswordHash) {
			f.add(at+".password_hash", "is not a bcrypt hash, $2a$…: `relay hash-password` makes one")
		}
	}
	for i, token := range a.Tokens {
		if sum, err := hex.DecodeString(token); err != nil || len(sum) != 32 {
			f.add(fmt.Sprintf("http.auth.tokens[%d]", i), "is not a SHA-256 in hex: `relay hash-password --token` makes token and hash")
		}
	}
}

// linkKeyMinBytes is the length of the HMAC's own output: a shorter key is easier to guess than a signature.
const linkKeyMinBytes = 32

func linkKeyFault(text string) string {
	if text == "" {
		return ""
	}
	if key, err := base64.StdEncoding.DecodeString(text); err != nil || len(key) < linkKeyMinBytes {
		return fmt.Sprintf("must be the base64 of %d bytes or more: `openssl rand -base64 %d` makes one", linkKeyMinBytes, linkKeyMinBytes)
	}
	return ""
}

func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && hostName.MatchString(u.Hostname()) &&
		text == u.Scheme+"://"+u.Host
}
