package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

func newSubscriptionsCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "subscriptions",
		Aliases: []string{"subscription", "subs"},
		Short:   "Show and change who receives which events",
		Long: "Show and change who receives which events. A change takes effect at once, in\n" +
			"commit order with the events; the running relay needs no restart. Plain SQL on\n" +
			"outbox.subscriptions does the same.",
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newSubscriptionsListCommand(p),
		newSubscriptionsAddCommand(p),
		newSubscriptionsSetCommand(p),
		newSubscriptionsRemoveCommand(p),
		newSubscriptionsSwitchCommand(p, true),
		newSubscriptionsSwitchCommand(p, false),
		newSubscriptionsRotateCommand(p),
	)
	return cmd
}

// howToSubscribe is shown to those who have no subscription yet.
const howToSubscribe = "  relay subscriptions add --url https://example.com/hooks --event-types '*'\n"

func newSubscriptionsListCommand(p *program) *cobra.Command {
	var tenant string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the subscriptions, without their secrets",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.listSubscriptions(cmd.Context(), tenant, asJSON)
		},
	}
	cmd.Flags().Var((*filled)(&tenant), "tenant", "only those of this `tenant`")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) listSubscriptions(ctx context.Context, tenant string, asJSON bool) error {
	_, db, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := store.ListSubscriptions(ctx, db, tenant)
	if err != nil {
		return err
	}
	if asJSON {
		out := newEncoder(p.stdout)
		for _, s := range all {
			if err := out.Encode(withoutHeaderValues(s)); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case len(all) == 0 && tenant != "":
		_, err := fmt.Fprintf(p.stdout, "Nobody is subscribed%s. `relay subscriptions list` shows those of all tenants.\n", inTenant(tenant))
		return err
	case len(all) == 0:
		_, err := fmt.Fprintf(p.stdout, "Nobody is subscribed yet. To add a subscription:\n%s", howToSubscribe)
		return err
	}
	if err := subscriptionTable(all, tenant != "").write(p.stdout, terminalWidth(p.stdout), inColor(p.stdout)); err != nil {
		return err
	}
	p.sayWhyOff(all)
	return nil
}

// sayWhyOff says below the table why subscriptions are switched off, and since when: there is no room for it above.
func (p *program) sayWhyOff(all []outbox.Subscription) {
	first := true
	for _, s := range all {
		if s.Active || s.DisabledAt == nil && s.DisabledReason == nil {
			continue
		}
		if first {
			_, _ = fmt.Fprintln(p.stdout)
			first = false
		}
		said := s.String() + " is off"
		if s.DisabledAt != nil {
			said += " since " + formatTime(shortTime, s.DisabledAt)
		}
		if s.DisabledReason != nil {
			said += ": " + *s.DisabledReason
		}
		_, _ = fmt.Fprintln(p.stdout, printable(said))
	}
}

func subscriptionTable(all []outbox.Subscription, oneTenant bool) *table {
	list := &table{lastBelow: 1, columns: []column{
		{title: "NAME", min: 8},
		{title: "TENANT", min: 8, leaving: 2},
		{title: "URL", min: 18},
		{title: "EVENT TYPES", min: 12, leaving: 1},
		{title: "STATE"},
		{title: "LIMITS", min: 6, leaving: 3},
		{title: "ID"},
	}}
	for _, s := range all {
		tenant := s.Tenant
		if oneTenant || tenant == "default" {
			tenant = ""
		}
		state := cell{text: "active", color: green}
		if !s.Active {
			state = cell{text: "off", color: yellow}
		}
		list.add(cell{text: deref(s.Name)}, cell{text: tenant}, cell{text: s.URL},
			cell{text: strings.Join(s.EventTypes, ", ")}, state, cell{text: formatLimits(&s)}, cell{text: s.ID.String()})
	}
	return list
}

// whichSubscription finds the one subscription that a person means by a name, an id or a URL.
func whichSubscription(ctx context.Context, db *pgxpool.Pool, which, tenant string) (*outbox.Subscription, error) {
	found, err := store.FindSubscriptions(ctx, db, which, tenant)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no subscription %q%s; `relay subscriptions list` shows those there are", which, inTenant(tenant))
	case 1:
		return &found[0], nil
	}
	return nil, usagef("%q fits several subscriptions: %s", which, tellApart(found))
}

// tellApart lists subscriptions, and says how to name one of them.
func tellApart(found []outbox.Subscription) string {
	tenants := slices.ContainsFunc(found, func(s outbox.Subscription) bool { return s.Tenant != found[0].Tenant })
	give := "give the id"
	if tenants {
		give = "give --tenant or the id"
	}
	var candidates []string
	for _, s := range found {
		var words []string
		if tenants {
			words = append(words, "tenant "+s.Tenant)
		}
		if s.Name != nil { // Else it goes by its id.
			words = append(words, "id "+s.ID.String())
		}
		candidate := s.String()
		if len(words) > 0 {
			candidate += " (" + strings.Join(words, ", ") + ")"
		}
		candidates = append(candidates, candidate)
	}
	return strings.Join(candidates, ", ") + "; " + give
}

func inTenant(tenant string) string {
	if tenant == "" {
		return ""
	}
	return fmt.Sprintf(" in tenant %q", tenant)
}

func tenantFlag(cmd *cobra.Command, tenant *string) {
	cmd.Flags().Var((*filled)(tenant), "tenant", "the `tenant` whose subscription is meant, where several have the name")
}
