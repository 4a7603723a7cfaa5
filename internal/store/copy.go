package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	copyDeliveries = `COPY outbox.deliveries (
	id, event_id, subscription_id, event_created_at, event_type, tenant, user_id, url, status, attempts, lease,
	due_at, last_attempt_at, next_attempt_at, finished_at, response_code, error_class, error) FROM STDIN BINARY`
	copyAttempts = `COPY outbox.attempts (
	delivery_id, attempt, started_at, duration_ms, response_code, error_class, error, response_body) FROM STDIN BINARY`
)

// CopyNewRecords is SaveNewRecords for many: COPY takes a quarter less of Postgres' CPU a row, and writes one WAL record a page,
// not a row, for the tables. It takes some round trips more. Row-level security that holds for the relay's role is an error with
// SQLSTATE 0A000 (feature_not_supported).
func CopyNewRecords(ctx context.Context, conn *pgx.Conn, records []*Record) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var now time.Time
		if err := tx.QueryRow(ctx, "SELECT statement_timestamp()").Scan(&now); err != nil {
			return err
		}
		deliveries, attempts := newCopyData(400*len(records)), newCopyData(100*len(records))
		for _, r := range records {
			deliveries.delivery(r, now)
			if r.Attempt != nil {
				attempts.attempt(r, now)
			}
		}
		if _, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(deliveries.end()), copyDeliveries); err != nil {
			return err
		}
		_, err := conn.PgConn().CopyFrom(ctx, bytes.NewReader(attempts.end()), copyAttempts)
		return err
	})
	if err != nil {
		return fmt.Errorf("record deliveries: %w", err)
	}
	return nil
}

// copyData is rows in the binary format of COPY (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"):
// a signature, flags, and rows of fields with their lengths.
type copyData struct{ b []byte }

func newCopyData(capacity int) *copyData {
	return &copyData{append(make([]byte, 0, capacity), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)}
}

// end ends the data and returns it.
func (c *copyData) end() []byte { return append(c.b, 0xff, 0xff) }

// delivery appends a row of outbox.deliveries; now is the database's clock.
func (c *copyData) delivery(r *Record, now time.Time) {
	var due, ended, next, finished *time.Time
	var code int
	var class, message string
	if a := r.Attempt; a != nil {
		at := now.Add(-whole(a.EndedAgo))
		ended, code, class, message = &at, a.Code, a.ErrorClass, a.Error
	}
	switch r.Status {
	case "retrying":
		at := ended.Add(whole(r.DueIn))
		due, next = &at, &at
	case "pending":
		at := now.Add(whole(r.DueIn))
		due = &at
	default:
		finished = &now
	}
	c.row(18)
	c.uuid(r.ID)
	c.uuid(r.EventID)
	c.uuid(r.SubscriptionID)
	c.time(&r.EventCreatedAt)
	c.text(r.EventType)
	c.text(r.Tenant)
	if r.UserID == nil {
		c.null()
	} else {
		c.text(*r.UserID)
	}
	c.text(r.URL)
	c.text(r.Status)
	c.int(r.Attempts)
	c.uuid(r.Lease)
	c.time(due)
	c.time(ended)
	c.time(next)
	c.time(finished)
	c.intOrNull(code)
	c.textOrNull(class)
	c.textOrNull(message)
}

// attempt appends a row of outbox.attempts.
func (c *copyData) attempt(r *Record, now time.Time) {
	a := r.Attempt
	began := now.Add(-whole(a.EndedAgo) - whole(a.Duration))
	c.row(8)
	c.uuid(r.ID)
	c.int(r.Attempts)
	c.time(&began)
	c.int(int(a.Duration.Round(time.Millisecond).Milliseconds()))
	c.intOrNull(a.Code)
	c.textOrNull(a.ErrorClass)
	c.textOrNull(a.Error)
	c.textOrNull(a.ResponseBody)
}

func (c *copyData) row(fields uint16) { c.b = binary.BigEndian.AppendUint16(c.b, fields) }

func (c *copyData) null() { c.length(-1) }

func (c *copyData) length(n int) { c.b = binary.BigEndian.AppendUint32(c.b, uint32(int32(n))) }

func (c *copyData) uuid(id uuid.UUID) {
	c.length(len(id))
	c.b = append(c.b, id[:]...)
}

func (c *copyData) int(n int) {
	c.length(4)
	c.b = binary.BigEndian.AppendUint32(c.b, uint32(int32(n)))
}

func (c *copyData) intOrNull(n int) {
	if n == 0 {
		c.null()
		return
	}
	c.int(n)
}

func (c *copyData) text(s string) {
	c.length(len(s))
	c.b = append(c.b, s...)
}

func (c *copyData) textOrNull(s string) {
	if s == "" {
		c.null()
		return
	}
	c.text(s)
}

// whole is a duration in the microseconds that Postgres counts.
func whole(d time.Duration) time.Duration { return d.Truncate(time.Microsecond) }

// postgresEpoch is what a timestamptz counts microseconds from.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *copyData) time(t *time.Time) {
	if t == nil {
		c.null()
		return
	}
	c.length(8)
	c.b = binary.BigEndian.AppendUint64(c.b, uint64(t.UnixMicro()-postgresEpoch.UnixMicro()))
}
