package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// Declaration is what became of what relay.yaml declares.
type Declaration struct {
	Changed int64      // How many rows were written.
	Off     []Switched // What was on, and is not declared any more.
}

// Switched is a subscription that was switched off, by what it is known as.
type Switched struct{ Tenant, Name string }

// Declare brings the declared subscriptions up to date in one transaction: created, changed, and switched off where no
// longer declared. Those made otherwise are left alone. A secret that the file replaces signs as well for a day.
func Declare(ctx context.Context, db *pgxpool.Pool, declared []Declared) (Declaration, error) {
	var made Declaration
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		tenants, names := []string{}, []string{}
		for _, d := range declared {
			if d.Tenant == "" {
				d.Tenant = "default"
			}
			tag, err := declare(ctx, tx, d)
			if err != nil {
				return fmt.Errorf("subscription %s: %w", d.Name, err)
			}
			made.Changed += tag.RowsAffected()
			tenants, names = append(tenants, d.Tenant), append(names, d.Name)
		}
		return made.undeclare(ctx, tx, tenants, names)
	})
	if err != nil {
		return Declaration{}, fmt.Errorf("declare subscriptions: %w", err)
	}
	return made, nil
}

func declare(ctx context.Context, tx pgx.Tx, d Declared) (pgconn.CommandTag, error) {
	headers := []byte("{}")
	if len(d.Headers) > 0 {
		var err error
		if headers, err = json.Marshal(d.Headers); err != nil {
			return pgconn.CommandTag{}, err
		}
	}
	return tx.Exec(ctx, declareSQL, d.Tenant, d.Name, d.URL, d.EventTypes, d.Secret, string(headers),
		d.Limits.Rate, d.Limits.Concurrency, d.Limits.timeout())
}

// undeclare switches off what is not among the names.
func (m *Declaration) undeclare(ctx context.Context, tx pgx.Tx, tenants, names []string) error {
	rows, err := tx.Query(ctx, undeclareSQL, tenants, names)
	if err != nil {
		return err
	}
	var off Switched
	var was bool
	tag, err := pgx.ForEachRow(rows, []any{&off.Tenant, &off.Name, &was}, func() error {
		if was {
			m.Off = append(m.Off, off)
		}
		return nil
	})
	m.Changed += tag.RowsAffected()
	return err
}
