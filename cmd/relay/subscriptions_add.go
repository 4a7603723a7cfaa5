package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/check"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

func newSubscriptionsAddCommand(p *program) *cobra.Command {
	var wanted store.NewSubscription
	var headers []string
	var limits limitFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add --url URL --event-types TYPE,… [flags]",
		Short: "Add a subscription and print its secret, this once",
		Example: "  relay subscriptions add --name crm --event-types 'user.invited,order.*' \\\n" +
			"    --url https://crm.example.com/hooks\n" +
			"  relay subscriptions add --url https://example.com/all --event-types '*' \\\n" +
			"    --header 'Authorization: Bearer abc'",
		DisableFlagsInUseLine: true,
		Args:                  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wanted.URL == "" {
				return usagef("--url is missing: where are the events to be sent?")
			}
			if len(wanted.EventTypes) == 0 {
				return usagef("--event-types is missing: user.invited, user.* (everything under user.) or '*' (everything)")
			}
			err := checkURLFlag(wanted.URL)
			if err != nil {
				return err
			}
			if wanted.Headers, err = parseHeaders(headers); err != nil {
				return err
			}
			if wanted.Limits, err = limits.parse(); err != nil {
				return err
			}
			return p.addSubscription(cmd.Context(), wanted, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&wanted.URL, "url", "", "where to POST the events: an http or https `URL`")
	flags.StringSliceVar(&wanted.EventTypes, "event-types", nil,
		"which events: `types` such as user.invited, user.* or '*', with commas between")
	flags.StringVar(&wanted.Name, "name", "", "a `name` to call it by, unique in its tenant")
	flags.Var((*filled)(&wanted.Tenant), "tenant", "the `tenant` whose events it receives (default \"default\")")
	flags.StringArrayVar(&headers, "header", nil, "an extra request header, `'Name: value'`; may be repeated")
	flags.StringVar(&wanted.Secret, "secret", "", "the signing `secret`, whsec_…; default: a random one")
	limits.register(cmd)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// checkURLFlag says what is wrong with --url, where the table would only say that something is.
func checkURLFlag(url string) error {
	if err := config.CheckURL(url); err != nil {
		return usagef("--url: %w", err)
	}
	return nil
}

// parseHeaders reads `Name: value`. Whether names and values are good is for the table to say.
func parseHeaders(lines []string) (map[string]string, error) {
	headers := make(map[string]string, len(lines))
	for i, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usagef("--header number %d: write 'Name: value'", i+1) // Its text may be a secret.
		}
		for other := range headers {
			if strings.EqualFold(other, name) {
				return nil, usagef("--header %s: is given twice", name)
			}
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

func (p *program) addSubscription(ctx context.Context, wanted store.NewSubscription, asJSON bool) error {
	cfg, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	made, err := store.AddSubscription(ctx, db, wanted)
	if err != nil {
		return explainRefusal(err, wanted)
	}
	if asJSON {
		err = p.printSecretJSON(made)
	} else {
		_, err = fmt.Fprintf(p.stdout, "Added subscription %s.\n\n", printable(made.String()))
		p.printSubscription(made)
		p.sayOnce()
	}
	if err != nil {
		return err
	}
	p.warnOfURL(ctx, cfg, made)
	p.warnIfDeclared(cfg, made, "changes it to what stands there")
	return nil
}

func (p *program) printSubscription(s *outbox.Subscription) {
	printFields(p.stdout, []field{
		{"id", s.ID.String()},
		{"tenant", s.Tenant},
		{"url", s.URL},
		{"event types", strings.Join(s.EventTypes, ", ")},
		{"limits", formatLimits(s)},
		{"secret", s.Secret},
	})
}

func (p *program) sayOnce() {
	_, _ = fmt.Fprintln(p.stdout, "\nThe secret is not shown again. The receiver needs it to verify the signatures.")
}

// printSecretJSON prints a subscription with the secret that its own JSON leaves out.
func (p *program) printSecretJSON(s *outbox.Subscription) error {
	type plain outbox.Subscription // Without MarshalJSON.
	row := struct {
		plain
		Timeout *string `json:"timeout"` // As its own JSON has it.
	}{plain: plain(*s)}
	row.PreviousSecret = nil
	if s.Timeout != nil {
		text := s.Timeout.String()
		row.Timeout = &text
	}
	return newEncoder(p.stdout).Encode(row)
}

// warnOfURL says at once what would else show only when deliveries fail.
func (p *program) warnOfURL(ctx context.Context, cfg *config.Config, s *outbox.Subscription) {
	if item := check.URL(ctx, cfg.Network, s.URL); item.Status != check.OK {
		_, _ = fmt.Fprintf(p.stderr, "relay: warning: %s; %s\n", printable(item.What), printable(item.Mend.String()))
	}
}

// refusals says, by the table's constraint, what is wrong with a flag.
var refusals = map[string]string{
	"subscriptions_url_check":         "--url: must be http://… or https://… with a host, and without user and password",
	"subscriptions_tenant_check":      "--tenant: cannot have more than 2000 bytes",
	"subscriptions_name_check":        "--name: cannot be empty",
	"subscriptions_event_types_check": "--event-types: each must be an event type (user.invited), everything under a name (user.*) or *",
	"subscriptions_secret_check":      "--secret: must be whsec_ and the base64 of 24 to 64 bytes; leave it out for a random one",
	"subscriptions_headers_check": "--header: a name is letters, digits and -, a value has no control characters, and the relay's own " +
		"(content-type, user-agent, webhook-…) cannot be replaced",
}

func explainRefusal(err error, wanted store.NewSubscription) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	if said := refusals[pg.ConstraintName]; said != "" {
		return usagef("%s", said)
	}
	if pg.ConstraintName == "subscriptions_name_key" {
		tenant := wanted.Tenant
		if tenant == "" {
			tenant = "default"
		}
		return fmt.Errorf("a subscription named %s is there already in tenant %s", wanted.Name, tenant)
	}
	return err
}
