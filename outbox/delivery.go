package outbox

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Delivery is a row of outbox.delivery_log: an event sent, or to be sent, to a subscription. A nil pointer is SQL's NULL.
//
// Its fields are named as the view's columns, for JSON and for pgx.RowToStructByName in queries of your own. (That drops
// white space around a payload; Log keeps every byte.)
type Delivery struct {
	DeliveryID     uuid.UUID       `db:"delivery_id" json:"delivery_id"`
	EventID        uuid.UUID       `db:"event_id" json:"event_id"` // What the receiver sees as webhook-id.
	EventType      string          `db:"event_type" json:"event_type"`
	Tenant         string          `db:"tenant" json:"tenant"`
	UserID         *string         `db:"user_id" json:"user_id"`                 // Nil: the event is about no user.
	SubscriptionID uuid.UUID       `db:"subscription_id" json:"subscription_id"` // Which may have been deleted since.
	URL            string          `db:"url" json:"url"`                         // Of the last attempt, or of the first to come.
	Status         Status          `db:"status" json:"status"`
	Attempts       int             `db:"attempts" json:"attempts"`               // Made so far.
	ResponseCode   *int            `db:"response_code" json:"response_code"`     // Nil: the last attempt got no answer.
	Error          *string         `db:"error" json:"error"`                     // Why it got none.
	CreatedAt      time.Time       `db:"created_at" json:"created_at"`           // When the event happened.
	LastAttemptAt  *time.Time      `db:"last_attempt_at" json:"last_attempt_at"` // When the last attempt ended.
	NextAttemptAt  *time.Time      `db:"next_attempt_at" json:"next_attempt_at"` // Nil unless retrying.
	FinishedAt     *time.Time      `db:"finished_at" json:"finished_at"`         // Nil while pending or retrying.
	Payload        json.RawMessage `db:"payload" json:"payload"`                 // As written; nil once the event is removed.
	ErrorClass     *ErrorClass     `db:"error_class" json:"error_class"`         // The kind of error.
	ReplayOf       *uuid.UUID      `db:"replay_of" json:"replay_of"`             // The delivery that this one replays.
}

const deliveryColumns = `delivery_id, event_id, event_type, tenant, user_id, subscription_id, url, status, attempts,
       response_code, error, created_at, last_attempt_at, next_attempt_at, finished_at, payload, error_class, replay_of`

// targets is where deliveryColumns are scanned to.
func (d *Delivery) targets() []any {
	return []any{
		&d.DeliveryID, &d.EventID, &d.EventType, &d.Tenant, &d.UserID, &d.SubscriptionID, &d.URL, &d.Status, &d.Attempts,
		&d.ResponseCode, &d.Error, &d.CreatedAt, &d.LastAttemptAt, &d.NextAttemptAt, &d.FinishedAt,
		(*[]byte)(&d.Payload), &d.ErrorClass, &d.ReplayOf,
	}
}

// Cursor is the place of d in the log, for Filter.Before.
func (d *Delivery) Cursor() Cursor { return Cursor{CreatedAt: d.CreatedAt, DeliveryID: d.DeliveryID} }

// Cursor is a place in the log. The zero Cursor is its newest end.
type Cursor struct {
	CreatedAt  time.Time
	DeliveryID uuid.UUID
}

// Attempt is a row of outbox.attempts: one request, or the try at one. A nil pointer is SQL's NULL.
type Attempt struct {
	DeliveryID   uuid.UUID   `db:"delivery_id" json:"delivery_id"`
	Number       int         `db:"attempt" json:"attempt"` // 1 for the first, 2 for the first retry, …
	StartedAt    time.Time   `db:"started_at" json:"started_at"`
	DurationMS   int         `db:"duration_ms" json:"duration_ms"`     // Until the headers, or until it was given up.
	ResponseCode *int        `db:"response_code" json:"response_code"` // Nil: there was no answer.
	ErrorClass   *ErrorClass `db:"error_class" json:"error_class"`     // Why there was none.
	Error        *string     `db:"error" json:"error"`                 // The same in words.
	ResponseBody *string     `db:"response_body" json:"response_body"` // The first KiB, made valid text.
}

const attemptColumns = `delivery_id, attempt, started_at, duration_ms, response_code, error_class, error, response_body`

// targets is where attemptColumns are scanned to.
func (a *Attempt) targets() []any {
	return []any{
		&a.DeliveryID, &a.Number, &a.StartedAt, &a.DurationMS, &a.ResponseCode, &a.ErrorClass, &a.Error, &a.ResponseBody,
	}
}
