package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is what Insert writes through: a pgx.Tx, *pgx.Conn or *pgxpool.Pool, or anything that wraps one.
type Tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SQLTx is what InsertSQL writes through: an *sql.Tx, *sql.Conn or *sql.DB, or anything that wraps one.
type SQLTx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Insert writes events to the outbox and returns their ids, in the order given. Pass the transaction that makes the
// events true: they are sent once it commits, and never if it rolls back. Given a connection or a pool, the events are
// a transaction of their own.
//
// However many events there are, they go in one statement and one round trip, and either all or none are written.
// None given does nothing. Payloads may be 256 MiB in all; split what is larger over several calls.
//
// Events that Postgres would refuse are found before anything is sent, so that they don't spoil the transaction: the
// error is then an *EventError, or several of them joined. An id that is in the outbox already is a unique violation
// (SQLSTATE 23505) of the statement.
//
// The role needs USAGE on schema outbox and INSERT on outbox.events, no more. Any query execution mode of pgx will do,
// also behind a pooler such as PgBouncer.
func Insert(ctx context.Context, tx Tx, events ...Event) ([]uuid.UUID, error) {
	ids, sql, args, err := insertArgs(events)
	if len(args) == 0 || err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, sql, args...); err != nil {
		return nil, insertError(err)
	}
	return ids, nil
}

// InsertSQL is Insert for database/sql, with any driver for Postgres.
func InsertSQL(ctx context.Context, tx SQLTx, events ...Event) ([]uuid.UUID, error) {
	ids, sql, args, err := insertArgs(events)
	if len(args) == 0 || err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, sql, args...); err != nil {
		return nil, insertError(err)
	}
	return ids, nil
}

// One array a column, so that neither the number of parameters nor the text of the statement grows with the events.
// Each is passed as text: what a driver makes of a Go slice depends on the driver and its mode, a string is a string.
const insertSQL = `
INSERT INTO outbox.events (id, type, tenant, user_id, payload, created_at)
SELECT e.id, e.type, e.tenant, nullif(e.user_id, ''), e.payload, coalesce(nullif(e.created_at, '')::timestamptz, now())
  FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::json[],
              $6::text::text[]) AS e(id, type, tenant, user_id, payload, created_at)`

// insertTracedSQL is used where an event belongs to a trace, so that others can go into a schema of the first version.
const insertTracedSQL = `
INSERT INTO outbox.events (id, type, tenant, user_id, payload, created_at, traceparent)
SELECT e.id, e.type, e.tenant, nullif(e.user_id, ''), e.payload, coalesce(nullif(e.created_at, '')::timestamptz, now()),
       nullif(e.traceparent, '')
  FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::json[],
              $6::text::text[], $7::text::text[]) AS e(id, type, tenant, user_id, payload, created_at, traceparent)`

// maxPayloadBytes is what one statement may carry. Postgres ends the connection on a message of 1 GiB, and quoting can
// double a payload; the rest is room for the other columns.
const maxPayloadBytes = 256 << 20

// timestampFormat is read alike under every DateStyle. It cuts to microseconds: Postgres would round up, into year
// 10000 in the extreme.
const timestampFormat = "2006-01-02T15:04:05.000000Z"

// timestamp is t for Postgres, empty for the zero time.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timestampFormat)
}

// insertArgs returns the events' ids, and the statement that inserts them with its arguments; no events, no arguments.
func insertArgs(events []Event) ([]uuid.UUID, string, []any, error) {
	if len(events) == 0 {
		return nil, "", nil, nil
	}

	payloads, err := checked(events)
	if err != nil {
		return nil, "", nil, fmt.Errorf("insert events: %w", err)
	}

	ids := make([]uuid.UUID, len(events))
	var id, typ, tenant, user, payload, createdAt, trace arrayLiteral
	traced := false
	for i, e := range events {
		if ids[i] = e.ID; e.ID == uuid.Nil {
			if ids[i], err = uuid.NewV7(); err != nil {
				return nil, "", nil, fmt.Errorf("make an event id: %w", err)
			}
		}
		if e.Tenant == "" {
			e.Tenant = DefaultTenant
		}
		id.add(ids[i].String())
		typ.add(e.Type)
		tenant.add(e.Tenant)
		user.add(e.UserID)
		payload.add(string(payloads[i]))
		createdAt.add(timestamp(e.CreatedAt))
		trace.add(e.Traceparent)
		traced = traced || e.Traceparent != ""
	}
	args := []any{id.end(), typ.end(), tenant.end(), user.end(), payload.end(), createdAt.end()}
	if traced {
		return ids, insertTracedSQL, append(args, trace.end()), nil
	}
	return ids, insertSQL, args, nil
}

// checked returns the events' payloads as JSON text, or everything that is wrong with the events.
func checked(events []Event) ([][]byte, error) {
	var faults faults
	payloads := make([][]byte, len(events))
	total := 0
	for i := range events {
		var err error
		if payloads[i], err = events[i].payloadText(); err != nil {
			payloads[i] = []byte("null") // the fault is told here, once
			faults.add(i, "payload", "can't be made JSON: %v", err)
		}
		total += len(payloads[i])
	}
	if total > maxPayloadBytes {
		return nil, fmt.Errorf("their payloads have %d bytes, one statement can carry %d: split them over several calls",
			total, maxPayloadBytes)
	}

	for i := range events {
		events[i].check(i, payloads[i], &faults)
	}
	return payloads, faults.err()
}

// insertError says what to do about the two faults that everybody meets once.
func insertError(err error) error {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		switch state.SQLState() {
		case "42P01": // undefined_table
			return fmt.Errorf("insert events (run relay init, or psql -f schema.sql, on this database first): %w", err)
		case "42501": // insufficient_privilege
			return fmt.Errorf("insert events (the role needs GRANT USAGE ON SCHEMA outbox and GRANT INSERT ON outbox.events): %w",
				err)
		}
	}
	return fmt.Errorf("insert events: %w", err)
}
