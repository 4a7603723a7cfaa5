package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// edit is what `subscriptions set` was told to change; nil: to leave as it is.
type edit struct {
	cmd        *cobra.Command
	name, url  string
	eventTypes []string
	headers    []string
	limits     limitFlags
}

func newSubscriptionsSetCommand(p *program) *cobra.Command {
	var e edit
	var asJSON bool
	cmd := p.subscriptionCommand("set", "Change URL, event types, headers, limits or name of one",
		func(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, s *outbox.Subscription) error {
			return p.setSubscription(ctx, cfg, db, s, &e, asJSON)
		})
	cmd.Use = "set NAME|ID|URL"
	cmd.Long = "Change a subscription; what no flag names stays as it is. It holds from now\n" +
		"on, also for what waits to be sent or tried again; event types hold for the\n" +
		"events from now on. An empty value takes a limit, the name or the headers\n" +
		"away.\n\n" +
		"The secret is changed by `relay subscriptions rotate`. One that relay.yaml\n" +
		"declares is changed there."
	cmd.Example = "  relay subscriptions set crm --rate 5 --timeout 3s\n" +
		"  relay subscriptions set crm --rate ''            # no limit any more\n" +
		"  relay subscriptions set crm --header 'X-Team: 7' --header 'X-Old:'"
	e.cmd = cmd
	flags := cmd.Flags()
	flags.StringVar(&e.name, "name", "", "the `name` to call it by; '' for none")
	flags.StringVar(&e.url, "url", "", "where to POST the events: an http or https `URL`")
	flags.StringSliceVar(&e.eventTypes, "event-types", nil,
		"which events: `types` such as user.invited, user.* or '*', with commas\nbetween")
	flags.StringArrayVar(&e.headers, "header", nil,
		"`'Name: value'` sets a request header, 'Name:' takes it away, ''\ntakes all away; may be repeated")
	e.limits.register(cmd)
	jsonFlag(cmd, &asJSON)
	check := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := e.check(); err != nil { // Before the database is asked.
			return err
		}
		return check(cmd, args)
	}
	return cmd
}

func (e *edit) changed(flag string) bool { return e.cmd.Flags().Changed(flag) }

// check says what is wrong with the flags themselves.
func (e *edit) check() error {
	if !slices.ContainsFunc([]string{"name", "url", "event-types", "header", "rate", "concurrency", "timeout"}, e.changed) {
		return usagef("nothing to change: name it with --url, --event-types, --header, --rate, --concurrency, --timeout or --name")
	}
	if e.changed("url") && e.url == "" {
		return usagef("--url: cannot be empty; `relay subscriptions disable` stops the deliveries")
	}
	if e.changed("url") {
		if err := checkURLFlag(e.url); err != nil {
			return err
		}
	}
	if e.changed("event-types") && strings.Join(e.eventTypes, "") == "" {
		return usagef("--event-types: cannot be empty; `relay subscriptions disable` stops the deliveries")
	}
	if _, err := e.limits.parse(); err != nil {
		return err
	}
	return changeHeaders(map[string]string{}, e.headers)
}

// apply makes the changes to a subscription.
func (e *edit) apply(s *outbox.Subscription) error {
	if e.changed("name") {
		s.Name = nil
		if e.name != "" {
			s.Name = &e.name
		}
	}
	if e.changed("url") {
		s.URL = e.url
	}
	if e.changed("event-types") {
		s.EventTypes = e.eventTypes
	}
	limits, err := e.limits.parse()
	if err != nil {
		return err
	}
	if e.changed("rate") {
		s.Rate = limits.Rate
	}
	if e.changed("concurrency") {
		s.Concurrency = limits.Concurrency
	}
	if e.changed("timeout") {
		s.Timeout = limits.Timeout
	}
	if s.Headers == nil {
		s.Headers = map[string]string{}
	}
	return changeHeaders(s.Headers, e.headers)
}

// changeHeaders applies the lines of --header in turn. Names are the same in any case.
func changeHeaders(headers map[string]string, lines []string) error {
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			clear(headers)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return usagef("--header number %d: write 'Name: value', 'Name:' to take it away, or '' to take all away", i+1) // Its text may be a secret.
		}
		maps.DeleteFunc(headers, func(other, _ string) bool { return strings.EqualFold(other, name) })
		if value = strings.TrimSpace(value); value != "" {
			headers[name] = value
		}
	}
	return nil
}

func (p *program) setSubscription(
	ctx context.Context, cfg *config.Config, db *pgxpool.Pool, s *outbox.Subscription, e *edit, asJSON bool,
) error {
	if s.Declared || declaration(cfg, s) != nil {
		return fmt.Errorf("relay.yaml declares %s, and would undo the change at the next start: change it there, and run `relay init` "+
			"or start the relay anew", s)
	}
	before, after, err := store.ChangeSubscription(ctx, db, s.ID, e.apply)
	if err != nil {
		return explainRefusal(err, store.NewSubscription{Tenant: s.Tenant, Name: e.name})
	}
	if asJSON {
		err = newEncoder(p.stdout).Encode(withoutHeaderValues(*after))
	} else {
		err = p.printChanges(before, after)
	}
	if err == nil && before.URL != after.URL {
		p.warnOfURL(ctx, cfg, after)
	}
	return err
}

func (p *program) printChanges(before, after *outbox.Subscription) error {
	var changes []field
	note := func(name, from, to string) {
		if from != to {
			changes = append(changes, field{name, orNone(from) + " → " + orNone(to)})
		}
	}
	note("name", deref(before.Name), deref(after.Name))
	note("url", before.URL, after.URL)
	note("event types", strings.Join(before.EventTypes, ", "), strings.Join(after.EventTypes, ", "))
	note("limits", formatLimits(before), formatLimits(after))
	if !maps.Equal(before.Headers, after.Headers) { // Their values may be secrets.
		changes = append(changes, field{"headers", orNone(strings.Join(slices.Sorted(maps.Keys(after.Headers)), ", "))})
	}
	if len(changes) == 0 {
		_, err := fmt.Fprintf(p.stdout, "Subscription %s is so already.\n", printable(before.String()))
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "Changed subscription %s.\n\n", printable(before.String()))
	printFields(p.stdout, changes)
	return err
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// withoutHeaderValues shows which headers a subscription has, but not what they say: that is mostly a secret.
func withoutHeaderValues(s outbox.Subscription) outbox.Subscription {
	names := make(map[string]string, len(s.Headers))
	for name := range s.Headers {
		names[name] = "…"
	}
	s.Headers = names
	return s
}
