package check_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/pgtest"
)

func TestURL(t *testing.T) {
	for _, c := range []struct {
		name, url  string
		network    config.Network
		what, mend string
	}{
		{"loopback", "http://127.0.0.1:9/hook", config.Network{},
			"127.0.0.1 is refused: loopback, not in network.allow", "add the network to network.allow, such as 127.0.0.1/32"},
		{"private", "https://10.1.2.3/hook", config.Network{},
			"10.1.2.3 is refused: private network, not in network.allow", "add the network to network.allow, such as 10.1.2.3/32"},
		{"IPv6", "https://[::1]/hook", config.Network{},
			"::1 is refused: loopback, not in network.allow", "add the network to network.allow, such as ::1/128"},
		{"metadata in an allowed network", "http://169.254.169.254/", config.Network{Allow: []string{"169.254.0.0/16"}},
			"169.254.169.254 is refused: cloud credentials, which 169.254.169.254/32 alone opens, not in network.allow", "add the network to network.allow, such as 169.254.169.254/32"},
		{"http", "http://192.0.3.1/hook", config.Network{RequireHTTPS: true},
			"http to 192.0.3.1, and network.require_https is on", "use https, or set network.require_https: false"},
		{"no URL", "https://", config.Network{}, "is not a URL that can be delivered to", "write https://host/path"},
		{"another scheme", "ftp://192.0.3.1/", config.Network{}, "is not a URL that can be delivered to", "write https://host/path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := check.URL(t.Context(), c.network, c.url)
			require.Equal(t, check.Fault, i.Status)
			require.Contains(t, i.What, c.what)
			require.Equal(t, c.mend, i.Mend.String())
			if _, allow, ok := strings.Cut(c.mend, "such as "); ok {
				_, err := netip.ParsePrefix(allow)
				require.NoError(t, err)
				c.network.Allow = append(c.network.Allow, allow)
				require.Equal(t, check.OK, check.URL(t.Context(), c.network, c.url).Status)
			}
		})
	}
	require.Equal(t, check.OK, check.URL(t.Context(), config.Network{RequireHTTPS: true}, "https://192.0.3.1/hook").Status)
}

// A look-up that fails may pass, and one customer's dead host is no fault of the database.
func TestURLWhoseHostIsNotKnown(t *testing.T) {
	i := check.URL(t.Context(), config.Network{}, "https://no-such-host.invalid/hook")
	require.Equal(t, check.Warning, i.Status)
	require.Equal(t, "no address is known for no-such-host.invalid", i.What)
	require.Equal(t, "correct the host, or the resolver of this machine", i.Mend.String())
}

func TestURLWhoseNameLeadsToARefusedAddress(t *testing.T) {
	i := check.URL(t.Context(), config.Network{}, "http://localhost:9/hook?token=s3cr3t")
	require.Equal(t, check.Fault, i.Status)
	require.Regexp(t, `^localhost leads to (127\.0\.0\.1|::1), which is refused: loopback, not in network\.allow$`, i.What)
	i = check.URL(t.Context(), config.Network{Allow: []string{"127.0.0.0/8", "::1/128"}}, "http://localhost:9/hook?token=s3cr3t")
	require.Equal(t, check.OK, i.Status)
	require.Equal(t, "http://localhost:9 is let through", i.What, "no path, no query: they may be secret")
}

func TestSubscriptions(t *testing.T) {
	cfg := settings(t, pgtest.URL(t))
	setUp(t, cfg)
	i := requireItem(t, look(t, cfg), check.Warning, "subscriptions", "none is switched on: events go nowhere")
	require.True(t, strings.HasPrefix(i.Mend.String(), "relay subscriptions add --url https://"))

	execute(t, cfg.Database.URL, `INSERT INTO outbox.subscriptions (name, url, event_types, active) VALUES
		('local', 'http://127.0.0.1:9/', '{*}', true), ('gone', 'https://no-such-host.invalid/', '{*}', true),
		('off', 'http://127.0.0.1:9/', '{*}', false), ('good', 'https://192.0.3.1/', '{*}', true)`)
	items := look(t, cfg)
	requireItem(t, items, check.Fault, "subscription local", "127.0.0.1 is refused")
	requireItem(t, items, check.Warning, "subscription gone", "no address is known")
	require.Len(t, ill(items), 2, "what is switched off is not looked at")

	cfg.Network.Allow = []string{"127.0.0.1/32"}
	execute(t, cfg.Database.URL, `UPDATE outbox.subscriptions SET url = 'https://192.0.3.2/' WHERE name = 'gone'`)
	require.Empty(t, ill(look(t, cfg)))
}

// What a start with this configuration would switch off is named; without a file or a variable it would switch off nothing.
func TestWhatIsNotDeclaredAnyMore(t *testing.T) {
	cfg := settings(t, pgtest.URL(t))
	setUp(t, cfg)
	execute(t, cfg.Database.URL, `INSERT INTO outbox.subscriptions (tenant, name, url, event_types, active, declared) VALUES
		('default', 'prod', 'https://192.0.3.1/', '{*}', true, true), ('default', 'kept', 'https://192.0.3.1/', '{*}', true, true),
		('acme', 'kept', 'https://192.0.3.1/', '{*}', true, true), ('default', 'off', 'https://192.0.3.1/', '{*}', false, true),
		('default', 'mine', 'https://192.0.3.1/', '{*}', true, false)`)
	require.Empty(t, ill(look(t, cfg)))

	const what = "was declared before and is not in this configuration: the next start switches it off"
	cfg.Subscriptions = []config.Subscription{{Name: "kept"}, {Tenant: "acme", Name: "kept"}}
	items := look(t, cfg)
	require.Len(t, ill(items), 1)
	i := requireItem(t, items, check.Warning, "subscription prod", what)
	require.Equal(t, "declare it, or give the file that does: --config FILE", i.Mend.String())

	cfg.Subscriptions = []config.Subscription{}
	require.Len(t, ill(look(t, cfg)), 3)
}
