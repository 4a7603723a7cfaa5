package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// DefaultTenant is the tenant of events and subscriptions that name none.
const DefaultTenant = "default"

// Event is something that happened and that subscribers are to be told about.
type Event struct {
	// ID is what receivers see as webhook-id. Give one to make a repeated insert fail with a unique violation instead of
	// being sent twice. The zero UUID has Insert make a time-ordered one (UUIDv7).
	ID uuid.UUID

	// Type is a dotted name such as user.invited: letters, digits, _ and -, with dots between. Required.
	Type string

	// Tenant says whose subscriptions receive it: a project, an account; at most 2,000 bytes. Empty means DefaultTenant.
	Tenant string

	// UserID is the user it is about, the key of the per-user log; at most 2,000 bytes. Empty means none.
	UserID string

	// Payload is what subscribers receive as "data". Required.
	//
	// A json.RawMessage, []byte or string is JSON text already and is sent byte for byte; whatever else is given goes
	// through json.Marshal.
	Payload any

	// CreatedAt is when it happened, kept to the microsecond. The zero time means the start of the transaction, on the
	// database's clock.
	CreatedAt time.Time

	// Traceparent is the trace that it belongs to, as the W3C header of that name says it; receivers are sent it. Empty
	// means none; what is no traceparent is kept and not sent.
	Traceparent string
}

// EventError says what is wrong with an event. Insert returns one for each fault, joined; errors.As finds the first.
// Its text never contains the payload.
type EventError struct {
	Index  int    // Which of the events given, from 0.
	Field  string // The field, named as its column: type, tenant, user_id, payload, created_at or traceparent.
	Reason string // What is wrong with it and what it should be.
}

func (e *EventError) Error() string {
	return fmt.Sprintf("event %d: %s %s", e.Index, e.Field, e.Reason)
}

// maxFaults is how many faults an error spells out: enough to see the pattern. One line for each of 100,000 events
// made by the same mistake would only flood a log.
const maxFaults = 20

// faults collects what is wrong with a list of events.
type faults struct {
	errs    []error
	dropped int
}

func (f *faults) add(index int, field, format string, args ...any) {
	if len(f.errs) == maxFaults {
		f.dropped++
		return
	}
	f.errs = append(f.errs, &EventError{Index: index, Field: field, Reason: fmt.Sprintf(format, args...)})
}

func (f *faults) err() error {
	if f.dropped > 0 {
		f.errs = append(f.errs, fmt.Errorf("and %d more faults", f.dropped))
	}
	return errors.Join(f.errs...)
}

// maxKeyBytes leaves room in the indexes of the log by tenant and by user, whose entries hold 2,704 bytes: the relay could
// never record a delivery with a longer one.
const maxKeyBytes = 2000

// check adds what Postgres would refuse about the i-th event, whose payload is the JSON text given.
func (e *Event) check(i int, payload []byte, f *faults) {
	if !validType(e.Type) {
		f.add(i, "type", "%.64q is not a dotted name: use letters, digits, _ and -, with dots between, such as user.invited",
			e.Type)
	}
	checkKey(i, "tenant", e.Tenant, f)
	checkKey(i, "user_id", e.UserID, f)
	checkText(i, "traceparent", e.Traceparent, f)
	// What the envelope's RFC 3339 timestamp can express.
	if year := e.CreatedAt.UTC().Year(); year < 1 || year > 9999 {
		f.add(i, "created_at", "is in the year %d: give one from 1 to 9999, or the zero time for now", year)
	}
	checkPayload(i, payload, f)
}

// validType is the rule of events_type_check in schema.sql.
func validType(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, typeChars) != "" {
			return false
		}
	}
	return true
}

const typeChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func checkKey(i int, field, s string, f *faults) {
	checkText(i, field, s, f)
	if len(s) > maxKeyBytes {
		f.add(i, field, "has %d bytes: give an identifier of at most %d", len(s), maxKeyBytes)
	}
}

func checkText(i int, field, s string, f *faults) {
	switch {
	case !utf8.ValidString(s):
		f.add(i, field, "is not valid UTF-8: Postgres keeps text alone, so encode other bytes")
	case strings.IndexByte(s, 0) >= 0:
		f.add(i, field, "contains a NUL byte, which Postgres text can't: remove it")
	}
}

func checkPayload(i int, text []byte, f *faults) {
	switch {
	case len(text) == 0:
		f.add(i, "payload", `is missing: give a value, or json.RawMessage("null")`)
	case !json.Valid(text):
		f.add(i, "payload", "is not valid JSON at byte %d: give JSON text, or a value for json.Marshal", syntaxOffset(text))
	case !utf8.Valid(text):
		f.add(i, "payload", "is not valid UTF-8: JSON and Postgres know no other encoding")
	}
}

// syntaxOffset is how many bytes of text were read when it turned out not to be JSON.
func syntaxOffset(text []byte) int64 {
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(text, new(json.RawMessage)), &syntax) {
		return syntax.Offset
	}
	return int64(len(text))
}

// payloadText is the payload as JSON text, which may turn out not to be JSON.
func (e *Event) payloadText() ([]byte, error) {
	switch p := e.Payload.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return p, nil
	case []byte:
		return p, nil
	case string:
		return []byte(p), nil
	default:
		return json.Marshal(p)
	}
}
