package relay

import (
	"encoding/binary"
	"math/big"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
)

func TestGuardByDefault(t *testing.T) {
	guard, err := NewGuard(config.Network{})
	require.NoError(t, err)
	for _, public := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255",
		"192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
		"198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"2000::", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::", "2001:db9::", "2003::1", "2606:4700:4700::1111",
		"2a00:1450:4001:830::200e", "3ffe:ffff::", "3fff:1000::", "::ffff:1.1.1.1",
	} {
		require.NoError(t, guard.Check(addrPort(t, public)), public)
	}
	for _, literal := range refusedLiterals {
		var blocked *BlockedError
		require.ErrorAs(t, guard.Check(addrPort(t, literal)), &blocked, literal)
	}
	require.Error(t, guard.Check(netip.AddrPort{}))
	require.EqualError(t, guard.Check(addrPort(t, "::ffff:127.0.0.1")),
		"address 127.0.0.1 refused: loopback, not in network.allow")
}

func TestGuardAllows(t *testing.T) {
	for _, tt := range []struct {
		name  string
		allow []string
		open  []string
		shut  []string
	}{
		{
			"a network", []string{"10.1.0.0/16"},
			[]string{"10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "1.1.1.1"},
			[]string{"10.0.255.255", "10.2.0.0", "127.0.0.1", "64:ff9b::10.1.2.3", "::10.1.2.3"},
		},
		{
			"a network given by one of its hosts", []string{"10.1.2.3/16", "fd12:3456::7/32"},
			[]string{"10.1.0.1", "fd12:3456:1::"}, []string{"10.2.0.1", "fd12:3457::"},
		},
		{
			"a network of mapped addresses", []string{"::ffff:10.1.0.0/112"},
			[]string{"10.1.0.1", "::ffff:10.1.0.1"}, []string{"10.2.0.1", "::10.1.0.1"},
		},
		{
			"all of IPv4", []string{"0.0.0.0/0"},
			[]string{"127.0.0.1", "169.254.1.1", "255.255.255.255", "0.0.0.0", "100.100.100.100"},
			[]string{"169.254.169.254", "169.254.170.2", "100.100.100.200", "::ffff:169.254.169.254", "::1", "::127.0.0.1"},
		},
		{
			"all of IPv6", []string{"::/0"},
			[]string{"::1", "fe80::1", "fc00::1", "fd00:ec2::253", "4000::", "64:ff9b::1.1.1.1"},
			[]string{
				"127.0.0.1", "::ffff:127.0.0.1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "64:ff9b::127.0.0.1",
				"64:ff9b::169.254.169.254", "64:ff9b:1::10.0.0.1", "2002:7f00:1::", "::127.0.0.1", "fe80::1%eth0",
			},
		},
		{
			"link-local", []string{"169.254.0.0/16", "fd00:ec2::/32"},
			[]string{"169.254.169.253", "fd00:ec2::1"}, []string{"169.254.169.254", "169.254.170.23", "fd00:ec2::254"},
		},
		{
			"the very host of the credentials", []string{"169.254.169.254/32", "fd00:ec2::254/128"},
			[]string{"169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254"},
			[]string{"169.254.169.253", "169.254.170.2", "fd00:ec2::23", "64:ff9b::a9fe:a9fe"},
		},
		{
			"half of that is not enough", []string{"169.254.169.254/31", "fd00:ec2::254/127"},
			[]string{"169.254.169.255", "fd00:ec2::255"}, []string{"169.254.169.254", "fd00:ec2::254"},
		},
		{
			"NAT64 to public addresses", []string{"64:ff9b::/96"},
			[]string{"64:ff9b::1.1.1.1"}, []string{"64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254"},
		},
		{
			"NAT64 to a private network", []string{"64:ff9b::/96", "10.0.0.0/8"},
			[]string{"64:ff9b::10.0.0.1"}, []string{"64:ff9b::127.0.0.1"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			guard, err := NewGuard(config.Network{Allow: tt.allow})
			require.NoError(t, err)
			for _, literal := range tt.open {
				require.NoError(t, guard.Check(addrPort(t, literal)), literal)
			}
			for _, literal := range tt.shut {
				require.Error(t, guard.Check(addrPort(t, literal)), literal)
			}
		})
	}
}

func TestNewGuardNamesTheItem(t *testing.T) {
	for _, item := range []string{"", "10.0.0.1", "10.0.0.0/33", "localhost/8", "10.0.0.0/-1", "fe80::1%eth0/64", "10.0/8", "010.0.0.0/8"} {
		_, err := NewGuard(config.Network{Allow: []string{"10.0.0.0/8", item}})
		require.EqualError(t, err, `network.allow: "`+item+`" is not a CIDR such as 10.0.0.0/8`)
	}
}

func TestGuardControlFailsClosed(t *testing.T) {
	guard, err := NewGuard(config.Network{Allow: []string{"0.0.0.0/0", "::/0"}})
	require.NoError(t, err)
	require.NoError(t, guard.Control("tcp4", "127.0.0.1:80", nil))
	require.NoError(t, guard.Control("tcp6", "[::1]:80", nil))
	for _, tt := range [][2]string{
		{"tcp", ""}, {"tcp", ":80"}, {"tcp", "127.0.0.1"}, {"tcp", "localhost:80"}, {"tcp", "[fe80::1%1]:80"}, {"tcp", "127.1:80"},
		{"tcp", "127.0.0.1:99999"}, {"udp", "127.0.0.1:80"}, {"unix", "/run/docker.sock"}, {"", "127.0.0.1:80"},
	} {
		var blocked *BlockedError
		require.ErrorAs(t, guard.Control(tt[0], tt[1], nil), &blocked, tt)
	}
}

// The guard against a table of its own: first and last addresses as numbers, written down apart from the guard's.
func FuzzGuard(f *testing.F) {
	for _, literal := range refusedLiterals {
		if addr, err := netip.ParseAddr(literal); err == nil {
			b := addr.As16()
			f.Add(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), addr.Is4())
		}
	}
	f.Add(uint64(0x2606_4700_0000_0000), uint64(0x1111), false)
	f.Add(uint64(0), uint64(0xffff_0808_0808), true)
	guard, err := NewGuard(config.Network{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, high, low uint64, four bool) {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], high)
		binary.BigEndian.PutUint64(b[8:], low)
		addr := netip.AddrFrom16(b)
		if four {
			addr = netip.AddrFrom4([4]byte(b[12:]))
		}
		refused := guard.Check(netip.AddrPortFrom(addr, 443)) != nil
		require.Equal(t, refusedByNumbers(addr), refused, "%s", addr)
	})
}

// refusedByNumbers knows the same ranges in another form.
func refusedByNumbers(addr netip.Addr) bool {
	number := func(s string) *big.Int { return new(big.Int).SetBytes(netip.MustParseAddr(s).AsSlice()) }
	addr = addr.Unmap()
	n := new(big.Int).SetBytes(addr.AsSlice())
	ranges := [][2]string{
		{"::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	}
	if addr.Is4() {
		ranges = [][2]string{
			{"0.0.0.0", "0.255.255.255"}, {"10.0.0.0", "10.255.255.255"}, {"100.64.0.0", "100.127.255.255"},
			{"127.0.0.0", "127.255.255.255"}, {"168.63.129.16", "168.63.129.16"}, {"169.254.0.0", "169.254.255.255"},
			{"172.16.0.0", "172.31.255.255"}, {"192.0.0.0", "192.0.0.255"}, {"192.0.2.0", "192.0.2.255"},
			{"192.88.99.0", "192.88.99.255"}, {"192.168.0.0", "192.168.255.255"}, {"198.18.0.0", "198.19.255.255"},
			{"198.51.100.0", "198.51.100.255"}, {"203.0.113.0", "203.0.113.255"}, {"224.0.0.0", "255.255.255.255"},
		}
	}
	for _, r := range ranges {
		if n.Cmp(number(r[0])) >= 0 && n.Cmp(number(r[1])) <= 0 {
			return true
		}
	}
	return false
}

// addrPort reads addresses as the dialer would have them, the IPv6 ones with an IPv4 tail and zones included.
func addrPort(t *testing.T, literal string) netip.AddrPort {
	t.Helper()
	addr, err := netip.ParseAddr(strings.Trim(literal, "[]"))
	require.NoError(t, err)
	return netip.AddrPortFrom(addr, 80)
}

// refusedLiterals are addresses that must not be reached unless allowed: the first and last of each range, and the forms
// that others have let pass.
var refusedLiterals = []string{
	"0.0.0.0", "0.0.0.1", "0.255.255.255",
	"10.0.0.0", "10.0.0.1", "10.255.255.255",
	"100.64.0.0", "100.64.0.1", "100.100.100.200", "100.127.255.255",
	"127.0.0.0", "127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.255",
	"168.63.129.16",
	"169.254.0.0", "169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.255.255",
	"172.16.0.0", "172.17.0.1", "172.31.255.255",
	"192.0.0.0", "192.0.0.1", "192.0.0.170", "192.0.0.192", "192.0.0.255",
	"192.0.2.0", "192.0.2.1", "192.0.2.255",
	"192.88.99.0", "192.88.99.1", "192.88.99.255",
	"192.168.0.0", "192.168.0.1", "192.168.255.255",
	"198.18.0.0", "198.18.0.1", "198.19.255.255",
	"198.51.100.0", "198.51.100.1", "198.51.100.255",
	"203.0.113.0", "203.0.113.1", "203.0.113.255",
	"224.0.0.0", "224.0.0.1", "239.255.255.255",
	"240.0.0.0", "240.0.0.1", "255.255.255.254", "255.255.255.255",

	"::", "::1", "::2", "::127.0.0.1", "::10.0.0.1", "::169.254.169.254", "::8.8.8.8", "::255.255.255.255",
	"::ffff:0.0.0.0", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
	"::ffff:192.168.0.1", "::ffff:100.64.0.1", "::ffff:0:127.0.0.1", "::1:0:0:0",
	"64:ff9b::", "64:ff9b::8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::ffff:ffff",
	"64:ff9b:1::", "64:ff9b:1::127.0.0.1", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
	"100::", "100::1", "100::ffff:ffff:ffff:ffff", "100:0:0:1::1",
	"1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"2001::", "2001::1", "2001:0:7f00:1::", "2001:0:a9fe:a9fe::", "2001:2::1", "2001:10::1", "2001:20::1",
	"2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
	"2001:db8::", "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
	"2002::", "2002:7f00:1::", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:a00:1::", "2002:808:808::",
	"2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"3fff::", "3fff::1", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
	"4000::", "5f00::", "5f00::1", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6000::1", "8000::1", "c000::1", "fbff::1",
	"fc00::", "fc00::1", "fd00::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
	"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"fe00::1", "fe80::", "fe80::1", "fe80::a9fe:a9fe", "fe80::1%eth0", "2606:4700:4700::1111%1", "fe80::1%25lo",
	"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"fec0::", "fec0::1", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"ff00::", "ff01::1", "ff02::1", "ff05::1:3", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}
