package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outboxrelay/relay/outbox"
)

var (
	lockSubscriptionSQL   = query("lock_subscription")
	changeSubscriptionSQL = query("change_subscription")
)

// ChangeSubscription lets edit change a subscription's name, URL, event types, headers and limits, and returns it as it
// was and as it is then. The row is locked meanwhile. Where edit changes nothing, nothing is written; where it returns an
// error, that is returned as it is. What the table refuses comes back as a *pgconn.PgError that names the constraint.
func ChangeSubscription(
	ctx context.Context, db *pgxpool.Pool, id uuid.UUID, edit func(*outbox.Subscription) error,
) (before, after *outbox.Subscription, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockSubscriptionSQL, id)
		if before, err = oneSubscription(rows, err, "look up subscription"); err != nil {
			return err
		}
		wanted := *before
		wanted.Headers, wanted.EventTypes = maps.Clone(before.Headers), slices.Clone(before.EventTypes)
		if err := edit(&wanted); err != nil {
			return err
		}
		if after = &wanted; reflect.DeepEqual(*before, wanted) {
			return nil
		}
		var headers *string // Written only where they change: the column keeps how they were written.
		if !maps.Equal(before.Headers, wanted.Headers) {
			text, err := json.Marshal(wanted.Headers)
			if err != nil {
				return fmt.Errorf("change subscription: %w", err)
			}
			headers = orNull(string(text))
		}
		limits := Limits{Timeout: wanted.Timeout}
		rows, err = tx.Query(ctx, changeSubscriptionSQL, id, wanted.Name, wanted.URL, wanted.EventTypes, headers,
			wanted.Rate, wanted.Concurrency, limits.timeout())
		after, err = oneSubscription(rows, err, "change subscription")
		return err
	})
	return before, after, err
}
