package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Webhook is a subscription as the console shows it: without its secret.
type Webhook struct {
	ID                      uuid.UUID
	Tenant                  string
	Name                    *string
	URL                     string
	EventTypes              []string
	Headers                 map[string]string
	Active                  bool
	CreatedAt               time.Time
	UpdatedAt               time.Time
	PreviousSecretExpiresAt *time.Time
	Rotating                bool // The previous secret signs as well.
	Declared                bool
	DisabledAt              *time.Time
	DisabledReason          *string
	Rate                    *float64
	Concurrency             *int
	TimeoutUS               *int64 `db:"timeout_us"` // Microseconds.
}

var (
	webhooksSQL      = query("webhooks")
	webhookSQL       = query("webhook")
	webhookTargetSQL = query("webhook_target")
	webhookAddSQL    = query("webhook_add")
	webhookSaveSQL   = query("webhook_save")
	webhookSwitchSQL = query("webhook_switch")
	webhookRotateSQL = query("webhook_rotate")
	webhookRemoveSQL = query("webhook_remove")
)

// WebhookFilter chooses subscriptions. A zero field does not restrict.
type WebhookFilter struct {
	Tenant string
	Text   string    // In the URL or the name.
	After  uuid.UUID // The last one of the page before.
	Limit  int
}

// Webhooks returns subscriptions by tenant and name.
func Webhooks(ctx context.Context, db DB, scope Scope, f WebhookFilter) ([]Webhook, error) {
	var after *uuid.UUID
	if f.After != uuid.Nil {
		after = &f.After
	}
	rows, err := db.Query(ctx, webhooksSQL, scope.args(f.Tenant, f.Text, after, f.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Webhook])
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return all, nil
}

// FindWebhook returns one subscription, or ErrNoSubscription.
func FindWebhook(ctx context.Context, db DB, scope Scope, id uuid.UUID) (*Webhook, error) {
	rows, err := db.Query(ctx, webhookSQL, scope.args(id)...)
	if err != nil {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	w, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Webhook])
	return &w, noSubscription("look up webhook", err)
}

// WebhookTarget is what a test of a subscription needs.
type WebhookTarget struct {
	URL, Secret, PreviousSecret string // PreviousSecret: empty where it no longer signs.
	Headers                     map[string]string
}

// FindWebhookTarget returns it, or ErrNoSubscription.
func FindWebhookTarget(ctx context.Context, db DB, scope Scope, id uuid.UUID) (*WebhookTarget, error) {
	rows, err := db.Query(ctx, webhookTargetSQL, scope.args(id)...)
	if err != nil {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[WebhookTarget])
	return &t, noSubscription("look up webhook", err)
}

// WebhookFields are what a form can say of a subscription.
type WebhookFields struct {
	Name        string // Empty: none.
	URL         string
	EventTypes  []string
	Headers     map[string]string
	Rate        *float64
	Concurrency *int
	Timeout     *time.Duration
}

func (f WebhookFields) args() ([]any, error) {
	headers := f.Headers
	if headers == nil {
		headers = map[string]string{}
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return nil, err
	}
	var timeout *int64
	if f.Timeout != nil {
		timeout = new(f.Timeout.Microseconds())
	}
	return []any{f.Name, f.URL, f.EventTypes, string(text), f.Rate, f.Concurrency, timeout}, nil
}

// ErrTooMany says that a tenant has as many subscriptions as it may.
var ErrTooMany = errors.New("too many subscriptions")

// AddWebhook makes a subscription and returns its secret. Most, where it is not 0, is how many the tenant may have: beyond
// that the error is ErrTooMany. What the table refuses comes back as a *pgconn.PgError that names the constraint.
func AddWebhook(ctx context.Context, db DB, scope Scope, id uuid.UUID, tenant string, f WebhookFields, most int) (secret string, err error) {
	fields, err := f.args()
	if err != nil {
		return "", fmt.Errorf("add webhook: %w", err)
	}
	args := append(scope.args(id, tenant), fields...)
	err = db.QueryRow(ctx, webhookAddSQL, append(args, most)...).Scan(&secret)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrTooMany
	}
	if err != nil {
		return "", fmt.Errorf("add webhook: %w", err)
	}
	return secret, nil
}

// ErrChanged says that nothing was done, since the subscription is not as it was: changed by somebody else, removed, or
// kept by relay.yaml.
var ErrChanged = errors.New("the subscription is not as it was")

// SaveWebhook changes a subscription that was last changed at seen; otherwise the error is ErrChanged.
func SaveWebhook(ctx context.Context, db DB, scope Scope, id uuid.UUID, seen time.Time, f WebhookFields) error {
	fields, err := f.args()
	if err != nil {
		return fmt.Errorf("save webhook: %w", err)
	}
	return changeOne(ctx, db, "save webhook", webhookSaveSQL, append(scope.args(id, seen), fields...))
}

// SwitchWebhook switches a subscription on or off. One that is so already is ErrChanged.
func SwitchWebhook(ctx context.Context, db DB, scope Scope, id uuid.UUID, active bool) error {
	return changeOne(ctx, db, "switch webhook", webhookSwitchSQL, scope.args(id, active))
}

// RemoveWebhook removes a subscription.
func RemoveWebhook(ctx context.Context, db DB, scope Scope, id uuid.UUID) error {
	return changeOne(ctx, db, "remove webhook", webhookRemoveSQL, scope.args(id))
}

// RotateWebhook gives a subscription that was last changed at seen a new secret and returns it; otherwise the error is
// ErrChanged. The old secret signs as well for as long as overlap.
func RotateWebhook(ctx context.Context, db DB, scope Scope, id uuid.UUID, seen time.Time, overlap time.Duration) (secret string, err error) {
	err = db.QueryRow(ctx, webhookRotateSQL, scope.args(id, seen, overlap.Microseconds())...).Scan(&secret)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrChanged
	}
	if err != nil {
		return "", fmt.Errorf("rotate secret: %w", err)
	}
	return secret, nil
}

func changeOne(ctx context.Context, db DB, doing, sql string, args []any) error {
	tag, err := db.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func noSubscription(doing string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoSubscription
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
