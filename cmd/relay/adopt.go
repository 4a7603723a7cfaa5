package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
)

// adoptFlags say what `relay adopt` does beside adopting.
type adoptFlags struct{ cancelWaiting, disable, yes bool }

func newAdoptCommand(p *program) *cobra.Command {
	var f adoptFlags
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "Make a copy of the database the relay's home",
		Long: "The relay notes which database it was set up for. In a copy, restored from a\n" +
			"dump or made for staging, it sends nothing: the original delivers those\n" +
			"events. This command makes the copy the relay's home. It shows what would be\n" +
			"sent from here, and asks.\n\n" +
			"Adopt after the original is gone for good (a restore, a move to another\n" +
			"server). For a staging copy, keep what came along with it from being sent:\n\n" +
			"  relay adopt --cancel-waiting --disable-subscriptions\n\n" +
			"All of it is done in one transaction. Running relays see it within seconds.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, db, err := p.open(cmd.Context())
			if err != nil {
				return err
			}
			defer db.Close()
			return p.adopt(cmd.Context(), cfg, db, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.cancelWaiting, "cancel-waiting", false, "cancel all that waits to be sent")
	flags.BoolVar(&f.disable, "disable-subscriptions", false, "switch all subscriptions off")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

func (p *program) adopt(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, f adoptFlags) error {
	home, err := store.FindHome(ctx, db)
	if err != nil {
		return err
	}
	switch {
	case home.Place == nil:
		_, err := fmt.Fprintln(p.stdout, "No relay was set up here or in what this is a copy of: nothing to adopt. `relay init` sets up.")
		return err
	case !home.Away():
		_, err := fmt.Fprintf(p.stdout, "This database is the relay's home already, since %s: nothing to adopt.\n", formatTime(longTime, home.AdoptedAt))
		return err
	}
	if err := p.describeCopy(ctx, db, home, f); err != nil {
		return err
	}
	if err := p.confirm(ctx, f.yes, "\n"+f.question()); err != nil {
		return err
	}
	options := store.AdoptOptions{CancelWaiting: f.cancelWaiting}
	if f.disable {
		options.DisableSubscriptions = "switched off by relay adopt"
	}
	done, err := store.AdoptWith(ctx, db, options)
	if err != nil {
		return err
	}
	return p.sayAdopted(cfg, f, done)
}

// describeCopy says what this database is, and what would be sent from it.
func (p *program) describeCopy(ctx context.Context, db *pgxpool.Pool, home store.Home, f adoptFlags) error {
	waiting, err := store.ListToBeSent(ctx, db)
	if err != nil {
		return err
	}
	conn := db.Config().ConnConfig
	origin := fmt.Sprintf("database oid %d of cluster %s", home.Place.DatabaseOID, home.Place.SystemIdentifier)
	if home.Place.SystemIdentifier == home.Here.SystemIdentifier {
		origin = fmt.Sprintf("another database of this cluster (oid %d)", home.Place.DatabaseOID)
	}
	_, err = fmt.Fprintln(p.stdout, "This database is a copy: the relay was set up for another.")
	_, _ = fmt.Fprintln(p.stdout)
	total, hosts := byHost(waiting)
	printFields(p.stdout, []field{
		{"this", fmt.Sprintf("%s on %s:%d (cluster %s, oid %d)", conn.Database, conn.Host, conn.Port, home.Here.SystemIdentifier, home.Here.DatabaseOID)},
		{"set up for", origin},
		{"since", formatTime(longTime, home.AdoptedAt)},
		{"waiting", counted(total, "delivery", "deliveries") + " to " + counted(int64(len(waiting)), "active subscription", "active subscriptions")},
	})
	printHosts(p.stdout, hosts)
	if total > 0 && !f.cancelWaiting {
		_, _ = fmt.Fprint(p.stdout, "\nOnce it is adopted, a relay here sends what waits. If the original lives, it sends the\n"+
			"same: give --cancel-waiting then.\n")
	}
	return err
}

// mostHosts is how many are named: more would push all else off the screen.
const mostHosts = 12

// printHosts lists what waits for each host, the most first.
func printHosts(w io.Writer, hosts map[string]int64) {
	names := slices.SortedFunc(maps.Keys(hosts), func(a, b string) int {
		return cmp.Or(cmp.Compare(hosts[b], hosts[a]), strings.Compare(a, b))
	})
	var lines []field
	for _, name := range names[:min(len(names), mostHosts)] {
		lines = append(lines, field{"  " + printable(name), counted(hosts[name], "delivery", "deliveries")})
	}
	printFields(w, lines)
	if more := len(names) - mostHosts; more > 0 {
		_, _ = fmt.Fprintf(w, "  and %s\n", counted(int64(more), "more host", "more hosts"))
	}
}

// byHost sums up by host what waits. A URL without one is its own.
func byHost(waiting []store.ToBeSent) (total int64, hosts map[string]int64) {
	hosts = make(map[string]int64)
	for _, w := range waiting {
		total += w.Deliveries
		host := "a URL that cannot be read"
		if u, err := url.Parse(w.URL); err == nil && u.Host != "" {
			host = u.Host
		}
		hosts[host] += w.Deliveries
	}
	return total, hosts
}

func (f adoptFlags) question() string {
	words := []string{"make this database the relay's home"}
	if f.disable {
		words = append([]string{"switch all subscriptions off"}, words...)
	}
	if f.cancelWaiting {
		words = append([]string{"cancel all that waits"}, words...)
	}
	all := strings.Join(words, ", ")
	if i := strings.LastIndex(all, ", "); i >= 0 {
		all = all[:i] + " and " + all[i+2:]
	}
	return strings.ToUpper(all[:1]) + all[1:] + "?"
}

func (p *program) sayAdopted(cfg *config.Config, f adoptFlags, done store.Adopted) error {
	var did []string
	if f.cancelWaiting {
		did = append(did, counted(done.Cancelled, "delivery was", "deliveries were")+" cancelled.")
	}
	if f.disable {
		did = append(did, counted(done.Disabled, "subscription was", "subscriptions were")+" switched off.")
	}
	did = append(did, "This database is the relay's home now.")
	_, err := fmt.Fprintln(p.stdout, strings.Join(did, " "))
	if f.disable && len(cfg.Subscriptions) > 0 {
		_, _ = fmt.Fprintf(p.stderr, "relay: warning: relay.yaml declares %s, and the next start switches %s on again: take out there what is not for here\n",
			counted(int64(len(cfg.Subscriptions)), "subscription", "subscriptions"), oneOrMore(len(cfg.Subscriptions), "it", "them"))
	}
	return err
}

func oneOrMore(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
