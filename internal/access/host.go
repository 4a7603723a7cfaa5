package access

import (
	"net"
	"net/netip"
	"strings"

	"github.com/outboxrelay/relay/config"
)

// hostNames are the names that the settings give the server, in lower case.
func hostNames(c config.HTTP) map[string]bool {
	names := map[string]bool{"localhost": true}
	for _, name := range c.Hosts {
		names[strings.ToLower(name)] = true
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		names[strings.ToLower(host)] = true
	}
	return names
}

// KnownHost says whether a request's Host is one of ours. A page elsewhere whose name is made to lead here (DNS
// rebinding) comes with its own name; an IP address in place of a name can't be made to lead anywhere.
func (g *Gate) KnownHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return g.names[host]
}
