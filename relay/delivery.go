package relay

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
)

// event is a row of outbox.events on its way out. It is shared by its deliveries and never changed.
type event struct {
	id        uuid.UUID
	webhookID string // The id as text.
	typ       string
	tenant    string
	userID    *string
	createdAt time.Time
	trace     string // The header traceparent; empty: none.
	body      []byte // What is POSTed.
	size      int64  // What it takes in memory, while its body is held.

	// Guarded by the dispatcher's lock.
	holders int  // Deliveries that still need the body.
	slow    bool // Counts as held by slow requests.
}

// eventOverheadBytes is what an event takes beside the body, roughly: struct and strings. deliveryBytes is what each of
// its deliveries does: struct and queue slot. An event may go to thousands of subscriptions.
const (
	eventOverheadBytes = 256
	deliveryBytes      = 384
)

// delivery is an event on its way to one subscription.
type delivery struct {
	id       uuid.UUID
	event    *event
	sub      *subscription
	tx       *transaction // Whose settling waits for this delivery; nil where it was claimed.
	attempts int          // Made before.

	claimed bool // Taken from the database, not from the stream.
	lease   lease

	// Guarded by the dispatcher's lock while the delivery is in a lane.
	queued       time.Time // When it came to its lane's queue, from the stream.
	lane         *lane     // Where its request was begun.
	started      time.Time // When its request began; zero while it waits.
	counted      bool      // Counts against the limit of all requests in flight.
	unsaved      bool      // Counts against it until its outcome is written.
	doubted      bool      // Hangs, or was begun in doubt of whether it would.
	spilled      bool      // Written down as pending, so the database owns it.
	slow         bool      // Counts as held by slow requests.
	older, newer *delivery // In the lane's list of requests in flight.

	// Set by the worker before the delivery goes to the recorder.
	outcome  Outcome
	decision Decision

	// For the recorder alone.
	batch   uint64 // The last batch that has a row of it.
	settled bool
}

// delay is the time from the event's commit to the start of its first attempt, where that is known: on the server's clock
// and on ours, so it is right as far as they agree.
func (d *delivery) delay() (time.Duration, bool) {
	if d.tx == nil || d.attempts > 0 || d.tx.committedAt.IsZero() {
		return 0, false
	}
	return max(d.outcome.StartedAt.Sub(d.tx.committedAt), 0), true
}

// lease is the right to deliver and to record, for a time.
type lease struct {
	token uuid.UUID
	until time.Time // On this machine's monotonic clock; zero: no lease.
}

// deliveryID derives the id of a delivery, as outbox.delivery_id does in SQL: the event's first 48 bits, so that the log
// stays in order of time, then SHA-256 of event and subscription, marked as UUID version 8 (RFC 9562 section 5.8).
func deliveryID(event, subscription uuid.UUID) uuid.UUID {
	var both [32]byte
	copy(both[:16], event[:])
	copy(both[16:], subscription[:])
	sum := sha256.Sum256(both[:])

	var id uuid.UUID
	copy(id[:6], event[:6])
	copy(id[6:], sum[:10])
	id[6] = sum[0]&0x0f | 0x80
	id[8] = sum[2]&0x3f | 0x80
	return id
}
