package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

// subscriptionCommand makes a command about one subscription, which it finds first.
func (p *program) subscriptionCommand(
	use, short string, do func(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, s *outbox.Subscription) error,
) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   use + " NAME|ID",
		Short: short,
		Args:  oneArg("which subscription? `relay subscriptions list` shows names and ids"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			cfg, db, err := p.open(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			s, err := whichSubscription(ctx, db, args[0], tenant)
			if err != nil {
				return err
			}
			return do(ctx, cfg, db, s)
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}

func newSubscriptionsRemoveCommand(p *program) *cobra.Command {
	cmd := p.subscriptionCommand("remove", "Remove one; what was not sent yet is cancelled, the log stays",
		func(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, s *outbox.Subscription) error {
			if _, err := store.RemoveSubscription(ctx, db, s.ID); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.stdout, "Removed subscription %s. What was not sent to it yet is cancelled.\n", printable(s.String()))
			p.warnIfDeclared(cfg, s, "makes it again")
			return err
		})
	cmd.Aliases = []string{"rm", "delete"}
	return cmd
}

func newSubscriptionsSwitchCommand(p *program, on bool) *cobra.Command {
	use, short, done, already, restart := "disable", "Switch one off; what was not sent yet is cancelled",
		"is off now. What was not sent to it yet is cancelled.", "is off already.", "switches it on again"
	if on {
		use, short, done, already, restart = "enable", "Switch one on, for the events from now on",
			"is on now, for the events from now on.", "is on already.", ""
	}
	return p.subscriptionCommand(use, short,
		func(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, s *outbox.Subscription) error {
			if s.Active == on {
				done = already
			} else if _, err := store.SwitchSubscription(ctx, db, s.ID, on); err != nil {
				return err
			}
			_, err := fmt.Fprintf(p.stdout, "Subscription %s %s\n", printable(s.String()), done)
			if restart != "" {
				p.warnIfDeclared(cfg, s, restart)
			}
			return err
		})
}

func newSubscriptionsRotateCommand(p *program) *cobra.Command {
	var secret string
	var overlap time.Duration
	var asJSON bool
	cmd := p.subscriptionCommand("rotate", "Give one a new secret and print it, this once",
		func(ctx context.Context, cfg *config.Config, db *pgxpool.Pool, s *outbox.Subscription) error {
			if overlap < 0 {
				return usagef("--overlap %s: must not be negative", overlap)
			}
			if d := declaration(cfg, s); d != nil && d.Secret != "" {
				return fmt.Errorf("relay.yaml gives the secret of %s, and would bring it back at the next start: change it there", s)
			}
			if secret != "" && secret == s.Secret {
				return usagef("--secret: is the one that %s has already", s)
			}
			rotated, err := store.RotateSecret(ctx, db, s.ID, secret, overlap)
			if err != nil {
				return explainRefusal(err, store.NewSubscription{})
			}
			if until := s.PreviousSecretExpiresAt; s.PreviousSecret != nil && until != nil && until.After(time.Now()) {
				p.note("the secret before the last signed until %s: it does no longer, since two sign at most", formatTime(longTime, until))
			}
			if asJSON {
				return p.printSecretJSON(rotated)
			}
			return p.printRotated(rotated)
		})
	cmd.Long = "Give a subscription a new secret and print it, this once. While the overlap\n" +
		"lasts, requests carry a signature with each of the two, so that the receiver can\n" +
		"change over."
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long the old secret signs as well; 0 ends it at once")
	cmd.Flags().StringVar(&secret, "secret", "", "the new `secret`, whsec_…; default: a random one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) printRotated(s *outbox.Subscription) error {
	until := "ended at once"
	if s.PreviousSecretExpiresAt != nil {
		until = "signs as well until " + formatTime(longTime, s.PreviousSecretExpiresAt)
	}
	_, err := fmt.Fprintf(p.stdout, "Subscription %s has a new secret.\n\n", printable(s.String()))
	printFields(p.stdout, []field{{"secret", s.Secret}, {"old secret", until}})
	p.sayOnce()
	return err
}

// declaration returns what relay.yaml says about a subscription, or nil.
func declaration(cfg *config.Config, s *outbox.Subscription) *config.Subscription {
	for i, d := range cfg.Subscriptions {
		tenant := d.Tenant
		if tenant == "" {
			tenant = "default"
		}
		if s.Name != nil && d.Name == *s.Name && tenant == s.Tenant {
			return &cfg.Subscriptions[i]
		}
	}
	return nil
}

// warnIfDeclared says that relay.yaml will undo a change.
func (p *program) warnIfDeclared(cfg *config.Config, s *outbox.Subscription, does string) {
	if declaration(cfg, s) != nil {
		_, _ = fmt.Fprintf(p.stderr, "relay: warning: relay.yaml declares %s: the next start %s; take it out there\n", printable(s.String()), does)
	}
}
