package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/outbox"
)

var (
	listSubscriptionsSQL  = query("list_subscriptions")
	findSubscriptionsSQL  = query("find_subscriptions")
	addSubscriptionSQL    = query("add_subscription")
	removeSubscriptionSQL = query("remove_subscription")
	switchSubscriptionSQL = query("switch_subscription")
	rotateSecretSQL       = query("rotate_secret")
	subscriptionNameSQL   = query("subscription_name")
)

// ErrNoSubscription says that a subscription is not there, or not any more.
var ErrNoSubscription = errors.New("no such subscription")

// ListSubscriptions returns all subscriptions, by tenant and name; tenant, where given, restricts them to its own.
func ListSubscriptions(ctx context.Context, db DB, tenant string) ([]outbox.Subscription, error) {
	rows, err := db.Query(ctx, listSubscriptionsSQL, tenant)
	return collectSubscriptions(rows, err, "list subscriptions")
}

// FindSubscriptions returns those with an id, a name or, to the letter, a URL; an id that is there wins over names and
// URLs. Tenant, where given, restricts them. It may return several, or none.
func FindSubscriptions(ctx context.Context, db DB, which, tenant string) ([]outbox.Subscription, error) {
	rows, err := db.Query(ctx, findSubscriptionsSQL, which, tenant)
	return collectSubscriptions(rows, err, "look up subscription")
}

// NewSubscription is a subscription to make.
type NewSubscription struct {
	Tenant     string // Empty: default.
	Name       string // Empty: none.
	URL        string
	EventTypes []string
	Secret     string // Empty: made by the database.
	Headers    map[string]string
	Limits     Limits
}

// Limits are what a subscription has of its own; nil: what holds for all.
type Limits struct {
	Rate        *float64 // Requests a second.
	Concurrency *int     // Requests in flight.
	Timeout     *time.Duration
}

// timeout is in microseconds.
func (l Limits) timeout() *int64 {
	if l.Timeout == nil {
		return nil
	}
	return microseconds(*l.Timeout)
}

// AddSubscription makes a subscription and returns it, its secret included. What the table refuses comes back as a
// *pgconn.PgError that names the constraint.
func AddSubscription(ctx context.Context, db DB, s NewSubscription) (*outbox.Subscription, error) {
	headers := []byte("{}")
	if len(s.Headers) > 0 {
		var err error
		if headers, err = json.Marshal(s.Headers); err != nil {
			return nil, fmt.Errorf("add subscription: %w", err)
		}
	}
	rows, err := db.Query(ctx, addSubscriptionSQL, s.Tenant, s.Name, s.URL, s.EventTypes, s.Secret, string(headers),
		s.Limits.Rate, s.Limits.Concurrency, s.Limits.timeout())
	return oneSubscription(rows, err, "add subscription")
}

// RemoveSubscription removes a subscription and returns it as it was.
func RemoveSubscription(ctx context.Context, db DB, id uuid.UUID) (*outbox.Subscription, error) {
	rows, err := db.Query(ctx, removeSubscriptionSQL, id)
	return oneSubscription(rows, err, "remove subscription")
}

// SwitchSubscription switches a subscription on or off and returns it as it is then.
func SwitchSubscription(ctx context.Context, db DB, id uuid.UUID, active bool) (*outbox.Subscription, error) {
	rows, err := db.Query(ctx, switchSubscriptionSQL, id, active)
	return oneSubscription(rows, err, "switch subscription")
}

// RotateSecret gives a subscription a new secret and returns it as it is then. The old secret signs as well for as long
// as overlap; zero: no longer. An empty secret is made by the database.
func RotateSecret(ctx context.Context, db DB, id uuid.UUID, secret string, overlap time.Duration) (*outbox.Subscription, error) {
	rows, err := db.Query(ctx, rotateSecretSQL, id, secret, overlap.Microseconds())
	return oneSubscription(rows, err, "rotate secret")
}

// SubscriptionName returns the name of a subscription, nil where it has none, or ErrNoSubscription. It reads nothing else,
// so that a role may ask that sees no secrets.
func SubscriptionName(ctx context.Context, db DB, id uuid.UUID) (*string, error) {
	var name *string
	err := db.QueryRow(ctx, subscriptionNameSQL, id).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoSubscription
	}
	if err != nil {
		return nil, fmt.Errorf("look up subscription: %w", err)
	}
	return name, nil
}

func collectSubscriptions(rows pgx.Rows, err error, doing string) ([]outbox.Subscription, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Subscription])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return all, nil
}

func oneSubscription(rows pgx.Rows, err error, doing string) (*outbox.Subscription, error) {
	all, err := collectSubscriptions(rows, err, doing)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", doing, ErrNoSubscription)
	}
	return &all[0], nil
}
