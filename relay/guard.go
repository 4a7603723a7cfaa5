package relay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/outboxrelay/relay/config"
)

// Guard says which addresses deliveries may reach: public ones, and those of the networks that the settings allow. It
// is asked about the address that is really dialled, so no name, encoding or change of DNS gets around it. It is not
// changed once made, and shared by goroutines.
type Guard struct {
	allowed []netip.Prefix
}

// BlockedError says that network settings refuse an address. Nothing was sent.
type BlockedError struct {
	Address string // As it would have been dialled.
	Reason  string // What kind of address it is.
}

func (e *BlockedError) Error() string {
	return fmt.Sprintf("address %s refused: %s, not in network.allow", e.Address, e.Reason)
}

// refusedNetwork is an address range that no public server has.
type refusedNetwork struct {
	prefix netip.Prefix
	reason string
}

// refusedNetworks are the special-purpose ranges of RFC 6890 and its successors. The predicates of net/netip know only
// some of them, and none of those that carry an IPv4 address inside an IPv6 one.
var refusedNetworks = []refusedNetwork{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private network"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the cloud host"}, // Azure's, on an address that looks public
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private network"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private network"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, // and broadcast

	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible"}, // and unspecified
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "NAT64"},
	{netip.MustParsePrefix("100::/64"), "discard only"},
	{netip.MustParsePrefix("2001::/23"), "protocol assignments"}, // Teredo, ORCHID and others
	{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
	{netip.MustParsePrefix("2002::/16"), "6to4"},
	{netip.MustParsePrefix("3fff::/20"), "documentation"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "private network"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// globalIPv6 is all that is given out for public use; the rest of IPv6 is reserved.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// credentialHosts hand a cloud machine's credentials to whoever asks from it. An allowed network that merely contains
// one does not open it: it must be named by itself, as a /32 or /128.
var credentialHosts = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // most clouds
	netip.MustParseAddr("169.254.170.2"),   // AWS ECS
	netip.MustParseAddr("169.254.170.23"),  // AWS EKS
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd00:ec2::23"),    // AWS EKS
	netip.MustParseAddr("fd20:ce::254"),    // Google
}

// NewGuard makes the guard that the settings describe. The error names the item of network.allow that is not a CIDR.
func NewGuard(n config.Network) (*Guard, error) {
	g := &Guard{}
	for _, item := range n.Allow {
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("network.allow: %q is not a CIDR such as 10.0.0.0/8", item)
		}
		if a := prefix.Addr(); a.Is4In6() && prefix.Bits() >= 96 { // the form that addresses are compared in
			prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
		}
		g.allowed = append(g.allowed, prefix.Masked())
	}
	return g, nil
}

// Check returns a *BlockedError unless deliveries may reach addr.
func (g *Guard) Check(addr netip.AddrPort) error {
	ip := addr.Addr().Unmap()
	switch {
	case !ip.IsValid():
		return &BlockedError{addr.String(), "not an IP address"}
	case ip.Zone() != "":
		return &BlockedError{ip.String(), "bound to one interface"}
	}
	if reason := g.refusal(ip); reason != "" {
		return &BlockedError{ip.String(), reason}
	}
	// A translator would pass these on to an IPv4 address, which is then the one that counts.
	if inner, ok := embeddedIPv4(ip); ok {
		if reason := g.refusal(inner); reason != "" {
			return &BlockedError{ip.String(), "stands for " + inner.String() + ", " + reason}
		}
	}
	return nil
}

// Control is for the Control hook of a net.Dialer: it is called with each address just before it is dialled, and
// refuses whatever it can't make out.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	switch {
	case !strings.HasPrefix(network, "tcp"):
		return &BlockedError{address, "not TCP"}
	case err != nil:
		return &BlockedError{address, "not an IP address and port"}
	}
	return g.Check(addr)
}

// refusal says why ip, unmapped and without a zone, is refused; empty where it is not.
func (g *Guard) refusal(ip netip.Addr) string {
	if slices.Contains(credentialHosts, ip) {
		if slices.Contains(g.allowed, netip.PrefixFrom(ip, ip.BitLen())) {
			return ""
		}
		return fmt.Sprintf("cloud credentials, which %s/%d alone opens", ip, ip.BitLen())
	}
	for _, prefix := range g.allowed {
		if prefix.Contains(ip) {
			return ""
		}
	}
	for _, refused := range refusedNetworks {
		if refused.prefix.Contains(ip) {
			return refused.reason
		}
	}
	if ip.Is6() && !globalIPv6.Contains(ip) {
		return "reserved"
	}
	return ""
}

var (
	ipv4Compatible = netip.MustParsePrefix("::/96")
	nat64          = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local     = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour      = netip.MustParsePrefix("2002::/16")
)

// embeddedIPv4 returns the IPv4 address that an IPv6 one stands for, where it does.
func embeddedIPv4(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() {
		return netip.Addr{}, false
	}
	bytes := ip.As16()
	var inner [4]byte
	switch {
	case nat64.Contains(ip), nat64Local.Contains(ip):
		inner = [4]byte(bytes[12:])
	case ipv4Compatible.Contains(ip) && binary.BigEndian.Uint32(bytes[12:]) > 1: // not :: and ::1
		inner = [4]byte(bytes[12:])
	case sixToFour.Contains(ip):
		inner = [4]byte(bytes[2:6])
	default:
		return netip.Addr{}, false
	}
	return netip.AddrFrom4(inner), true
}
