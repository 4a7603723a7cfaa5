package main

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/access"
)

// longestLink is what the console takes at most.
const longestLink = 31 * 24 * time.Hour

func newConsoleLinkCommand(p *program) *cobra.Command {
	var tenant, base string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "console-link --tenant TENANT",
		Short: "Print a link to the console for one tenant",
		Long: "Print a link to the console that shows one tenant's webhooks, docs and log, and\n" +
			"nothing else, until it expires. Whoever has the link has that access. It is\n" +
			"signed with http.link_key; docs/console.md says how a host app makes such links\n" +
			"itself.",
		Example: "  relay console-link --tenant acme --expires 1h --url https://relay.example.com",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if tenant == "" {
				return usagef("--tenant is missing: whose webhooks is the link to show?")
			}
			if expires <= 0 || expires > longestLink {
				return usagef("--expires %s: must be more than 0, and at most %s", expires, longestLink)
			}
			cfg, err := p.settings()
			if err != nil {
				return err
			}
			key, err := access.ParseLinkKey(cfg.HTTP.LinkKey)
			if err != nil {
				return usageError{err}
			}
			token, err := access.SignLink(key, tenant, time.Now().Add(expires))
			if err != nil {
				return usageError{err}
			}
			if base == "" {
				base = consoleURL(cfg.HTTP)
			}
			_, err = fmt.Fprintln(p.stdout, strings.TrimSuffix(base, "/")+access.LinkPath+token)
			return err
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the `tenant` that it shows")
	cmd.Flags().DurationVar(&expires, "expires", time.Hour, "how long it holds")
	cmd.Flags().StringVar(&base, "url", "", "the console's `address` (default: the first of http.hosts, or http.listen)")
	return cmd
}

// consoleURL is where browsers find the console, as far as the settings say.
func consoleURL(h config.HTTP) string {
	if len(h.Hosts) > 0 {
		return "https://" + h.Hosts[0]
	}
	host, port, err := net.SplitHostPort(h.Listen)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
