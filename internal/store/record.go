package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// Record says what became of one delivery.
type Record struct {
	ID             uuid.UUID
	EventID        uuid.UUID
	SubscriptionID uuid.UUID
	EventCreatedAt time.Time
	EventType      string
	Tenant         string
	UserID         *string
	URL            string
	Status         string
	Attempts       int           // Made so far, this one included.
	Lease          uuid.UUID     // The token held; a row that is there already is written only under the same.
	DueIn          time.Duration // pending: until the lease ends; retrying: the delay after the end of the attempt.
	Attempt        *Attempt      // The attempt just made; nil where none was.
}

// Attempt says how one attempt went.
type Attempt struct {
	EndedAgo     time.Duration // Since its end.
	Duration     time.Duration
	Code         int    // 0: no answer.
	ErrorClass   string // Empty where there was an answer.
	Error        string
	ResponseBody string
}

// Batch gathers records for one statement. The zero value is ready; Reset empties it for use again.
type Batch struct {
	ids, events, subscriptions uuids
	created                    []time.Time
	types, tenants             []string
	users                      []*string
	urls, statuses             []string
	attempts                   []int32
	leases                     uuids
	endedAgo, dueIn, durations []*int64
	codes                      []*int32
	classes, errors, bodies    []*string
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.ids) }

// Add appends a record. A batch must not hold two of the same delivery.
func (b *Batch) Add(r *Record) {
	b.ids.add(r.ID)
	b.events.add(r.EventID)
	b.subscriptions.add(r.SubscriptionID)
	b.created = append(b.created, r.EventCreatedAt)
	b.types = append(b.types, r.EventType)
	b.tenants = append(b.tenants, r.Tenant)
	b.users = append(b.users, r.UserID)
	b.urls = append(b.urls, r.URL)
	b.statuses = append(b.statuses, r.Status)
	b.attempts = append(b.attempts, int32(r.Attempts))
	b.leases.add(r.Lease)
	b.dueIn = append(b.dueIn, microseconds(r.DueIn))

	a := r.Attempt
	if a == nil {
		b.endedAgo = append(b.endedAgo, nil)
		b.durations = append(b.durations, nil)
		b.codes = append(b.codes, nil)
		b.classes = append(b.classes, nil)
		b.errors = append(b.errors, nil)
		b.bodies = append(b.bodies, nil)
		return
	}
	b.endedAgo = append(b.endedAgo, microseconds(a.EndedAgo))
	b.durations = append(b.durations, microseconds(a.Duration))
	b.codes = append(b.codes, orNull(int32(a.Code)))
	b.classes = append(b.classes, orNull(a.ErrorClass))
	b.errors = append(b.errors, orNull(a.Error))
	b.bodies = append(b.bodies, orNull(a.ResponseBody))
}

// uuids is a uuid[] that pgx encodes without reflection: with []uuid.UUID that was a seventh of the relay's CPU.
type uuids pgtype.FlatArray[pgtype.UUID]

func (u *uuids) add(id uuid.UUID) { *u = append(*u, pgtype.UUID{Bytes: id, Valid: true}) }

// array returns what pgx takes.
func (u uuids) array() pgtype.FlatArray[pgtype.UUID] { return pgtype.FlatArray[pgtype.UUID](u) }

func uuidsOf(ids []uuid.UUID) pgtype.FlatArray[pgtype.UUID] {
	u := make(uuids, 0, len(ids))
	for _, id := range ids {
		u.add(id)
	}
	return u.array()
}

// Reset empties the batch and lets go of what it held.
func (b *Batch) Reset() { *b = Batch{} }

func microseconds(d time.Duration) *int64 {
	us := d.Microseconds()
	return &us
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

var recordSQL = query("record")

// SaveRecords writes a batch in one round trip, all of it or nothing. One statement, which ends whatever becomes of the connection:
// a transaction of several, such as COPY needs, would be left open by a connection that has silently gone, and hold the
// keys of its rows until the server notices, for hours by default; the next try would wait for them.
func SaveRecords(ctx context.Context, db DB, b *Batch) error { return b.save(ctx, db, recordSQL) }

var recordNewSQL = query("record_new")

// SaveNewRecords is SaveRecords for deliveries that should not stand in the database yet. Where one does, it writes nothing
// and returns an error with SQLSTATE 23505 (unique_violation). Without ON CONFLICT, Postgres takes a quarter less CPU, and
// writes two WAL records fewer a delivery, each of which logical decoding would have to read.
func SaveNewRecords(ctx context.Context, db DB, b *Batch) error { return b.save(ctx, db, recordNewSQL) }

func (b *Batch) save(ctx context.Context, db DB, sql string) error {
	_, err := db.Exec(ctx, sql, b.ids.array(), b.events.array(), b.subscriptions.array(), b.created, b.types, b.tenants, b.users, b.urls,
		b.statuses, b.attempts, b.leases.array(), b.endedAgo, b.dueIn, b.durations, b.codes, b.classes, b.errors, b.bodies)
	if err != nil {
		return fmt.Errorf("record deliveries: %w", err)
	}
	return nil
}

var recordedSQL = query("recorded")

// Recorded returns which of these deliveries stand in the database already.
func Recorded(ctx context.Context, db DB, ids []uuid.UUID) (map[uuid.UUID]struct{}, error) {
	found := make(map[uuid.UUID]struct{})
	rows, err := db.Query(ctx, recordedSQL, uuidsOf(ids))
	if err != nil {
		return nil, fmt.Errorf("look up deliveries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id pgtype.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("look up deliveries: %w", err)
		}
		found[id.Bytes] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look up deliveries: %w", err)
	}
	return found, nil
}

var disableSQL = query("disable_subscription")

// DisableSubscription switches a subscription off, says why, and returns whether it did. One that is off, gone, or being
// changed by somebody else is left as it is.
func DisableSubscription(ctx context.Context, db DB, id uuid.UUID, reason string) (bool, error) {
	tag, err := db.Exec(ctx, disableSQL, id, reason)
	if err != nil {
		return false, fmt.Errorf("switch subscription off: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}
