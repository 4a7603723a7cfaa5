package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// EventType is an entry of the catalogue.
type EventType struct {
	Type        string
	Description string
	Sample      string // JSON text, as it was written.
	Schema      string // JSON Schema, as it was written; empty: none.
	Declared    bool   // Kept by relay.yaml.
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

var (
	listEventTypesSQL      = query("list_event_types")
	declareEventTypesSQL   = query("declare_event_types")
	undeclareEventTypesSQL = query("undeclare_event_types")
)

// ErrNoCatalogue says that the table of event types is not there yet.
var ErrNoCatalogue = errors.New("table outbox.event_types is not there")

// ListEventTypes returns the catalogue, by type. The error is ErrNoCatalogue where its table is missing.
func ListEventTypes(ctx context.Context, db DB) ([]EventType, error) {
	rows, err := db.Query(ctx, listEventTypesSQL)
	if err != nil {
		return nil, explainCatalogue(err)
	}
	types, err := pgx.CollectRows(rows, pgx.RowToStructByPos[EventType])
	if err != nil {
		return nil, explainCatalogue(err)
	}
	return types, nil
}

func explainCatalogue(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42P01" || pg.Code == "3F000") { // undefined_table, invalid_schema_name
		return ErrNoCatalogue
	}
	return fmt.Errorf("read the catalogue: %w", err)
}

// DeclareEventTypes brings the declared event types up to date in one transaction: created, changed, and removed where no
// longer declared. Those made by hand are left alone, unless one is declared now. It returns how many rows it wrote.
func DeclareEventTypes(ctx context.Context, db *pgxpool.Pool, declared []EventType) (int64, error) {
	types, descriptions := []string{}, []string{}
	samples, schemas := []string{}, []string{}
	for _, t := range declared {
		types, descriptions = append(types, t.Type), append(descriptions, t.Description)
		samples, schemas = append(samples, t.Sample), append(schemas, t.Schema)
	}
	var changed int64
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		removed, err := tx.Exec(ctx, undeclareEventTypesSQL, types)
		if err != nil {
			return err
		}
		written, err := tx.Exec(ctx, declareEventTypesSQL, types, descriptions, samples, schemas)
		changed = removed.RowsAffected() + written.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("declare event types: %w", err)
	}
	return changed, nil
}
