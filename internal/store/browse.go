package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/outbox"
)

// LogRow is a delivery as the console's log shows it: without the payload.
type LogRow struct {
	ID             uuid.UUID
	EventID        uuid.UUID
	SubscriptionID uuid.UUID
	EventCreatedAt time.Time
	LastAttemptAt  *time.Time
	NextAttemptAt  *time.Time
	FinishedAt     *time.Time
	ReplayOf       *uuid.UUID
	Attempts       int
	ResponseCode   *int
	Status         outbox.Status
	EventType      string
	Tenant         string
	UserID         *string
	URL            string
	ErrorClass     *outbox.ErrorClass
	Error          *string
}

func (r *LogRow) targets() []any {
	return []any{
		&r.ID, &r.EventID, &r.SubscriptionID, &r.EventCreatedAt, &r.LastAttemptAt, &r.NextAttemptAt, &r.FinishedAt,
		&r.ReplayOf, &r.Attempts, &r.ResponseCode, &r.Status, &r.EventType, &r.Tenant, &r.UserID, &r.URL, &r.ErrorClass,
		&r.Error,
	}
}

// LogPlace is a place in the log. The zero LogPlace is its newest end.
type LogPlace struct {
	At time.Time
	ID uuid.UUID
}

// LogFilter chooses deliveries of the log. A zero field does not restrict.
type LogFilter struct {
	Tenant         string
	Type           string // An event type, or user.* for all under user.
	Statuses       []outbox.Status
	UserID         string
	SubscriptionID uuid.UUID
	URL            string // A part of it.
	EventID        uuid.UUID
	From, To       time.Time // Of the event: From is the earliest; To is later than the latest.
}

// restricts says whether rows may be walked that do not fit.
func (f *LogFilter) restricts() bool {
	return f.Tenant != "" || f.Type != "" && f.Type != "*" || f.Statuses != nil || f.URL != "" || f.EventID != uuid.Nil ||
		f.UserID != "" || f.SubscriptionID != uuid.Nil
}

// Walk is what one request read of the log.
type Walk struct {
	Rows []LogRow
	Next LogPlace // Where to go on.
	More bool     // Whether there may be more, from Next on.
	Full bool     // The page is full; otherwise, where there is more, the walk had gone on for long enough.
}

const (
	firstStep = 500                    // Rows of an index: enough where the filter lets most through.
	laterStep = 8000                   // A round trip costs as much as some thousand rows.
	mostRows  = 50000                  // In all: about 100 ms of Postgres' time where the rows are in memory,
	mostTime  = 200 * time.Millisecond // and not much more than that where they are not, or it is busy.
)

// paths are the ways through the log, by what each has an index for. Where a filter has several, the first is taken.
var (
	userPath         = path("AND d.user_id = $11")
	subscriptionPath = path("AND d.subscription_id = $12")
	unhappyPath      = path("AND d.status <> 'accepted'")
	scopePath        = path("AND d.tenant = $6 AND d.tenant <> 'default'")
	tenantPath       = path("AND d.tenant = $7 AND d.tenant <> 'default'")
	wholePath        = path("")
)

// usualTenant is the one where there are no tenants: nearly all deliveries are its own, so it has no index.
const usualTenant = "default"

func path(condition string) string {
	return strings.Replace(query("browse"), "/* path */", condition, 1)
}

func (f *LogFilter) path(scope Scope) string {
	switch {
	case f.UserID != "":
		return userPath
	case f.SubscriptionID != uuid.Nil:
		return subscriptionPath
	case f.Statuses != nil && !has(f.Statuses, outbox.StatusAccepted):
		return unhappyPath
	case !scope.all && scope.tenant != usualTenant:
		return scopePath
	case scope.all && f.Tenant != "" && f.Tenant != usualTenant:
		return tenantPath
	}
	return wholePath
}

func has(statuses []outbox.Status, status outbox.Status) bool {
	for _, s := range statuses {
		if s == status {
			return true
		}
	}
	return false
}

// farFuture is later than any event may be, and farPast no later than any.
var (
	farFuture = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	farPast   = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Browse returns up to limit deliveries that fit, newest events first, from a place on. However large the log is and
// however few fit, it walks a bounded number of rows, and says how far it came.
func Browse(ctx context.Context, db DB, scope Scope, f LogFilter, from LogPlace, limit int) (*Walk, error) {
	start, walk, walked := time.Now(), &Walk{}, 0
	at := f.begin(from)
	step := limit + 1
	if f.restricts() || !scope.all {
		step = max(firstStep, limit+1)
	}
	for {
		rows, end, n, err := browseStep(ctx, db, scope, &f, at, step, limit+1-len(walk.Rows))
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		walk.Rows = append(walk.Rows, rows...)
		walked += n
		if len(walk.Rows) > limit {
			walk.Rows = walk.Rows[:limit]
			last := walk.Rows[limit-1]
			walk.Next, walk.More, walk.Full = LogPlace{last.EventCreatedAt, last.ID}, true, true
			return walk, nil
		}
		if n < step {
			return walk, nil
		}
		at, step = end, laterStep
		if walked >= mostRows || time.Since(start) > mostTime {
			walk.Next, walk.More = at, true
			return walk, nil
		}
	}
}

func (f *LogFilter) begin(from LogPlace) LogPlace {
	begin := LogPlace{farFuture, uuid.Max}
	if !f.To.IsZero() {
		begin = LogPlace{f.To, uuid.Nil}
	}
	if !from.At.IsZero() && (from.At.Before(begin.At) || from.At.Equal(begin.At)) {
		begin = from
	}
	return begin
}

// browseStep walks up to step rows and returns those that fit, where the walk ended, and how many rows it took.
func browseStep(ctx context.Context, db DB, scope Scope, f *LogFilter, at LogPlace, step, limit int) ([]LogRow, LogPlace, int, error) {
	earliest := f.From
	if earliest.IsZero() {
		earliest = farPast
	}
	exact, prefix := f.Type, ""
	if under, ok := strings.CutSuffix(f.Type, "*"); ok {
		exact, prefix = "", under
	}
	rows, err := db.Query(ctx, f.path(scope), at.At, at.ID, earliest, step, scope.all, scope.tenant, f.Tenant, exact, prefix,
		f.Statuses, f.UserID, idOrNull(f.SubscriptionID), f.URL, idOrNull(f.EventID), limit)
	if err != nil {
		return nil, at, 0, err
	}
	defer rows.Close()
	var found []LogRow
	var walked int
	var endAt *time.Time
	var endID *uuid.UUID
	for rows.Next() {
		var row nullableRow
		if err := rows.Scan(append([]any{&walked, &endAt, &endID}, row.targets()...)...); err != nil {
			return nil, at, 0, err
		}
		if row.ID != nil {
			found = append(found, row.row())
		}
	}
	if endAt != nil && endID != nil {
		at = LogPlace{*endAt, *endID}
	}
	return found, at, walked, rows.Err()
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// nullableRow is a LogRow of an outer join.
type nullableRow struct {
	LogRow
	ID, EventID, SubscriptionID *uuid.UUID
	EventCreatedAt              *time.Time
	Attempts                    *int
	Status                      *outbox.Status
	EventType, Tenant, URL      *string
}

func (r *nullableRow) targets() []any {
	return []any{
		&r.ID, &r.EventID, &r.SubscriptionID, &r.EventCreatedAt, &r.LastAttemptAt, &r.NextAttemptAt, &r.FinishedAt,
		&r.ReplayOf, &r.Attempts, &r.ResponseCode, &r.Status, &r.EventType, &r.Tenant, &r.UserID, &r.URL, &r.ErrorClass,
		&r.Error,
	}
}

func (r *nullableRow) row() LogRow {
	row := r.LogRow
	row.ID, row.EventID, row.SubscriptionID, row.EventCreatedAt = *r.ID, *r.EventID, *r.SubscriptionID, *r.EventCreatedAt
	row.Attempts, row.Status, row.EventType, row.Tenant, row.URL = *r.Attempts, *r.Status, *r.EventType, *r.Tenant, *r.URL
	return row
}

// ErrNoDelivery says that a delivery is not there, or not any more.
var ErrNoDelivery = errors.New("no such delivery")

var (
	browseDeliverySQL = query("browse_delivery")
	browseAttemptsSQL = query("browse_attempts")
	browseSiblingsSQL = query("browse_siblings")
	browseFindSQL     = query("browse_find")
	browsePayloadSQL  = query("browse_payload")
)

// DeliveryDetail is all there is to say about a delivery, but its attempts.
type DeliveryDetail struct {
	LogRow
	HasEvent        bool   // False: it was removed after the retention.
	Payload         string // As much of it as was asked for.
	PayloadLength   int    // Characters of all of it.
	Traceparent     string
	HasSubscription bool // False: it was removed.
	Active          bool // The subscription is on.
	Name            string
	Headers         map[string]string // The subscription's, as they are now.
}

// FindDelivery returns a delivery with the first so many characters of its payload; or ErrNoDelivery.
func FindDelivery(ctx context.Context, db DB, scope Scope, id uuid.UUID, characters int) (*DeliveryDetail, error) {
	var d DeliveryDetail
	var payload, traceparent, name *string
	targets := append(d.targets(), &d.HasEvent, &payload, &d.PayloadLength, &traceparent, &d.HasSubscription, &d.Active,
		&name, &d.Headers)
	err := db.QueryRow(ctx, browseDeliverySQL, scope.args(id, characters)...).Scan(targets...)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoDelivery
	}
	if err != nil {
		return nil, fmt.Errorf("look up delivery: %w", err)
	}
	d.Payload, d.Traceparent, d.Name = orEmpty(payload), orEmpty(traceparent), orEmpty(name)
	return &d, nil
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// AttemptRow is an attempt as the console shows it.
type AttemptRow struct {
	Number       int
	StartedAt    time.Time
	DurationMS   int
	ResponseCode *int
	ErrorClass   *outbox.ErrorClass
	Error        *string
	ResponseBody *string
}

// FindAttempts returns the attempts of a delivery, the first one first.
func FindAttempts(ctx context.Context, db DB, scope Scope, id uuid.UUID) ([]AttemptRow, error) {
	rows, err := db.Query(ctx, browseAttemptsSQL, scope.args(id)...)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AttemptRow])
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return all, nil
}

// FindSiblings returns the deliveries of an event, replays included, in the order they were made.
func FindSiblings(ctx context.Context, db DB, scope Scope, event uuid.UUID, at time.Time) ([]LogRow, error) {
	low, high := event, event // A delivery's id begins with the event's first 48 bits.
	for i := 6; i < len(low); i++ {
		low[i], high[i] = 0, 0xff
	}
	rows, err := db.Query(ctx, browseSiblingsSQL, scope.args(event, at, low, high)...)
	if err != nil {
		return nil, fmt.Errorf("look up deliveries of an event: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r LogRow, err error) {
		return r, row.Scan(r.targets()...)
	})
	if err != nil {
		return nil, fmt.Errorf("look up deliveries of an event: %w", err)
	}
	return all, nil
}

// Found says what an id belongs to.
type Found struct {
	Kind string    // delivery, event, subscription; empty: nothing.
	At   time.Time // When it was made; of a delivery, when its event was.
}

// FindID says what an id belongs to.
func FindID(ctx context.Context, db DB, scope Scope, id uuid.UUID) (Found, error) {
	var f Found
	err := db.QueryRow(ctx, browseFindSQL, scope.args(id)...).Scan(&f.Kind, &f.At)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return f, fmt.Errorf("look up an id: %w", err)
	}
	return f, nil
}

// FindPayload returns the payload of a delivery's event, byte for byte, unless it is longer than most; or ErrNoDelivery.
func FindPayload(ctx context.Context, db DB, scope Scope, id uuid.UUID, most int) (string, error) {
	var payload string
	err := db.QueryRow(ctx, browsePayloadSQL, scope.args(id, most)...).Scan(&payload)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNoDelivery
	}
	if err != nil {
		return "", fmt.Errorf("read a payload: %w", err)
	}
	return payload, nil
}
