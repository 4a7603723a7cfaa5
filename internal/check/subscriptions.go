package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/relay"
)

// resolveTimeout is how long the look-up of a host name may take.
const resolveTimeout = 5 * time.Second

// lookUps is how many host names are looked up at once.
const lookUps = 16

// subscriptions looks at the URL of each that is switched on.
func (c *checker) subscriptions(ctx context.Context) {
	if !c.schema {
		return
	}
	c.undeclared(ctx)
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
	items := make([]chan Item, len(all))
	for i := range items {
		items[i] = make(chan Item, 1)
	}
	var looks errgroup.Group
	looks.SetLimit(lookUps)
	go func() {
		for i, s := range all {
			looks.Go(func() error {
				items[i] <- URL(ctx, c.cfg.Network, s.URL)
				return nil
			})
		}
	}()
	for i, s := range all {
		item := <-items[i]
		item.Name = "subscription " + s.Name
		c.report(item)
	}
}

// undeclared names what the next start will switch off: from another relay.yaml than this, or meant to be.
func (c *checker) undeclared(ctx context.Context) {
	if !c.cfg.DeclaresSubscriptions() {
		return
	}
	tenants, names := []string{}, []string{}
	for _, s := range c.cfg.Subscriptions {
		tenants, names = append(tenants, cmp.Or(s.Tenant, "default")), append(names, s.Name)
	}
	rows, err := c.db.Query(ctx, `
		SELECT coalesce(name, id::text) FROM outbox.subscriptions
		 WHERE declared AND active AND (tenant, name) NOT IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY 1 LIMIT 1000`, tenants, names)
	if err != nil {
		c.broken("subscriptions", err)
		return
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.broken("subscriptions", err)
		return
	}
	for _, name := range gone {
		c.warn("subscription "+name, "declare it, or give the file that does: --config FILE",
			"was declared before and is not in this configuration: the next start switches it off")
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
		return Item{ // It may pass, and is no fault of this database: the other subscriptions are delivered to.
			Status: Warning, Name: name, What: "no address is known for " + u.Hostname(),
			Mend: "correct the host, or the resolver of this machine",
		}
	}
	for _, address := range addresses {
		var blocked *relay.BlockedError
		if err := guard.Check(netip.AddrPortFrom(address, port(u))); errors.As(err, &blocked) {
			address = address.Unmap()
			which := u.Hostname()
			if which != address.String() {
				which += " leads to " + address.String() + ", which"
			}
			return fault(fmt.Sprintf("add the network to network.allow, such as %s/%d", address, address.BitLen()),
				"%s is refused: %s, not in network.allow", which, blocked.Reason)
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
