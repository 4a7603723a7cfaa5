package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DB is what Log and Attempts read from: a *pgxpool.Pool, *pgx.Conn or pgx.Tx, or anything that wraps one.
type DB interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// SQLDB is what LogSQL and AttemptsSQL read from: an *sql.DB, *sql.Conn or *sql.Tx, or anything that wraps one.
type SQLDB interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// DefaultLimit is how many deliveries Log returns where the filter names no limit: a page for a person to read.
const DefaultLimit = 50

// Filter chooses deliveries. A zero field does not restrict; those given must all hold.
type Filter struct {
	UserID         string // Uses an index, however large the log is.
	Tenant         string
	Type           string // The whole event type, such as user.invited.
	Status         Status
	SubscriptionID uuid.UUID
	DeliveryID     uuid.UUID
	Before         Cursor // Only what follows this place, from new to old: the Cursor of the last delivery seen.
	Limit          int    // At most so many deliveries; zero or less means DefaultLimit.
}

// Log returns what was sent, or is to be sent, newest events first: one Delivery for each event and subscription.
// No delivery that fits is no error.
//
// The role needs USAGE on schema outbox and SELECT on outbox.delivery_log. The log is that of all tenants: give
// Filter.Tenant where one tenant must not see another's.
func Log(ctx context.Context, db DB, filter Filter) ([]Delivery, error) {
	query, args := filter.query()
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the delivery log: %w", err)
	}
	defer rows.Close()
	return collect(rows, "read the delivery log", (*Delivery).targets)
}

// LogSQL is Log for database/sql.
func LogSQL(ctx context.Context, db SQLDB, filter Filter) ([]Delivery, error) {
	query, args := filter.query()
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the delivery log: %w", err)
	}
	defer rows.Close()
	return collect(rows, "read the delivery log", (*Delivery).targets)
}

// Attempts returns the attempts made so far at a delivery, the first one first. None yet, or no such delivery, is no
// error.
//
// The role needs USAGE on schema outbox and SELECT on outbox.attempts.
func Attempts(ctx context.Context, db DB, deliveryID uuid.UUID) ([]Attempt, error) {
	rows, err := db.Query(ctx, attemptsSQL, deliveryID.String())
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	defer rows.Close()
	return collect(rows, "read attempts", (*Attempt).targets)
}

// AttemptsSQL is Attempts for database/sql.
func AttemptsSQL(ctx context.Context, db SQLDB, deliveryID uuid.UUID) ([]Attempt, error) {
	rows, err := db.QueryContext(ctx, attemptsSQL, deliveryID.String())
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	defer rows.Close()
	return collect(rows, "read attempts", (*Attempt).targets)
}

const attemptsSQL = "SELECT " + attemptColumns + `
  FROM outbox.attempts
 WHERE delivery_id = $1::uuid
 ORDER BY attempt`

// query is the statement for f and its parameters. Conditions not asked for are left out, so that Postgres plans for
// those that are.
func (f *Filter) query() (string, []any) {
	var conditions []string
	var args []any
	place := func(arg any) int {
		args = append(args, arg)
		return len(args)
	}
	where := func(condition, value string) {
		if value != "" {
			conditions = append(conditions, fmt.Sprintf(condition, place(value)))
		}
	}

	where("user_id = $%d", f.UserID)
	where("tenant = $%d", f.Tenant)
	where("event_type = $%d", f.Type)
	where("status = $%d", string(f.Status))
	where("subscription_id = $%d::uuid", idOrEmpty(f.SubscriptionID))
	where("delivery_id = $%d::uuid", idOrEmpty(f.DeliveryID))
	if f.Before != (Cursor{}) {
		conditions = append(conditions, fmt.Sprintf("(created_at, delivery_id) < ($%d::timestamptz, $%d::uuid)",
			place(f.Before.CreatedAt), place(f.Before.DeliveryID.String())))
	}

	query := "SELECT " + deliveryColumns + "\n  FROM outbox.delivery_log"
	if len(conditions) > 0 {
		query += "\n WHERE " + strings.Join(conditions, "\n   AND ")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	return query + fmt.Sprintf("\n ORDER BY created_at DESC, delivery_id DESC\n LIMIT $%d", place(limit)), args
}

func idOrEmpty(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// rows is what the rows of pgx and of database/sql have in common.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

func collect[T any](rows rows, doing string, targets func(*T) []any) ([]T, error) {
	var all []T
	for rows.Next() {
		var row T
		if err := rows.Scan(targets(&row)...); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return all, nil
}
