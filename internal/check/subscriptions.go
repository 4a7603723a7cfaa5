package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/relay"
)

// resolveTimeout is how long the look-up of a host name may take.
const resolveTimeout = 5 * time.Second

// subscriptions looks at the URL of each that is switched on.
func (c *checker) subscriptions(ctx context.Context) {
	if !c.schema {
		return
	}
	rows, err := c.db.Query(ctx, `SELECT coalesce(name, id::text), url FROM outbox.subscriptions WHERE active ORDER BY 1 LIMIT 1000`)
	if err != nil {
		c.broken("subscriptions", err)
		return
	}
	type subscription struct{ Name, URL string }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[subscription])
	if err != nil {
		c.broken("subscriptions", err)
		return
	}
	if len(all) == 0 {
		c.warn("subscriptions", "relay subscriptions add --url https://… --event-types '*'", "none is switched on: events go nowhere")
	}
	for _, s := range all {
		item := URL(ctx, c.cfg.Network, s.URL)
		item.Name = "subscription " + s.Name
		c.report(item)
	}
}

// URL says whether deliveries to a URL will be let out: its form, its host's addresses and what network allows. It blocks
// for the look-up of the host name.
func URL(ctx context.Context, network config.Network, text string) Item {
	const name = "url"
	fault := func(mend, format string, args ...any) Item {
		return Item{Status: Fault, Name: name, What: fmt.Sprintf(format, args...), Mend: Mend(mend)}
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fault("write https://host/path", "is not a URL that can be delivered to")
	}
	if network.RequireHTTPS && u.Scheme != "https" {
		return fault("use https, or set network.require_https: false", "http to %s, and network.require_https is on", u.Hostname())
	}
	guard, err := relay.NewGuard(network)
	if err != nil {
		return fault("correct network in relay.yaml", "%v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(addresses) == 0 {
		return fault("correct the host, or the resolver of this machine", "no address is known for %s", u.Hostname())
	}
	for _, address := range addresses {
		var blocked *relay.BlockedError
		if err := guard.Check(netip.AddrPortFrom(address, port(u))); errors.As(err, &blocked) {
			return fault(fmt.Sprintf("add the network to network.allow, such as %s/%d", address.Unmap(), address.Unmap().BitLen()),
				"%s is refused: %v", u.Hostname(), err)
		}
	}
	return Item{Status: OK, Name: name, What: fmt.Sprintf("%s://%s is let through", u.Scheme, u.Host)}
}

func port(u *url.URL) uint16 {
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(n)
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
