package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Declared is a subscription that relay.yaml declares.
type Declared struct {
	Tenant     string // Empty: default.
	Name       string
	URL        string
	EventTypes []string
	Secret     string // Empty: the one that is there, or a new one.
	Headers    map[string]string
	Limits     Limits
}

var (
	declareSQL   = query("declare")
	undeclareSQL = query("undeclare")
)

// Declare brings the declared subscriptions up to date in one transaction: created, changed, and switched off where no
// longer declared. Those made otherwise are left alone. It returns how many rows it wrote.
func Declare(ctx context.Context, db *pgxpool.Pool, declared []Declared) (int64, error) {
	var changed int64
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var tenants, names []string
		for _, d := range declared {
			if d.Tenant == "" {
				d.Tenant = "default"
			}
			headers := []byte("{}")
			if len(d.Headers) > 0 {
				var err error
				if headers, err = json.Marshal(d.Headers); err != nil {
					return err
				}
			}
			tag, err := tx.Exec(ctx, declareSQL, d.Tenant, d.Name, d.URL, d.EventTypes, d.Secret, string(headers),
				d.Limits.Rate, d.Limits.Concurrency, d.Limits.timeout())
			if err != nil {
				return fmt.Errorf("subscription %s: %w", d.Name, err)
			}
			changed += tag.RowsAffected()
			tenants, names = append(tenants, d.Tenant), append(names, d.Name)
		}
		tag, err := tx.Exec(ctx, undeclareSQL, tenants, names)
		changed += tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("declare subscriptions: %w", err)
	}
	return changed, nil
}
