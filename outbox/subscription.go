package outbox

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Subscription is a row of outbox.subscriptions: a URL and the events it receives. A nil pointer is SQL's NULL.
//
// Its fields are named as the columns, for pgx.RowToStructByName and for JSON. The secrets are read from JSON but never
// written to it, and neither formatting nor logging a Subscription shows them or the URL, whose query may hold a token.
type Subscription struct {
	ID         uuid.UUID         `db:"id" json:"id"`
	Tenant     string            `db:"tenant" json:"tenant"`
	Name       *string           `db:"name" json:"name"` // Unique per tenant.
	URL        string            `db:"url" json:"url"`
	EventTypes []string          `db:"event_types" json:"event_types"` // user.invited, user.* or *.
	Secret     string            `db:"secret" json:"secret,omitempty"` // whsec_ and base64.
	Headers    map[string]string `db:"headers" json:"headers"`         // Extra request headers.
	Active     bool              `db:"active" json:"active"`
	CreatedAt  time.Time         `db:"created_at" json:"created_at"`
	UpdatedAt  time.Time         `db:"updated_at" json:"updated_at"`

	// While a secret is being rotated, the old one signs as well until it expires; with a nil expiry, for ever.
	PreviousSecret          *string    `db:"previous_secret" json:"previous_secret,omitempty"`
	PreviousSecretExpiresAt *time.Time `db:"previous_secret_expires_at" json:"previous_secret_expires_at"`

	Declared       bool       `db:"declared" json:"declared"`               // Kept by relay.yaml, which wins over edits.
	DisabledAt     *time.Time `db:"disabled_at" json:"disabled_at"`         // When it was switched off.
	DisabledReason *string    `db:"disabled_reason" json:"disabled_reason"` // Why, where the relay did it.

	// Limits of its own. In JSON the timeout is text such as 5s, which Postgres reads as an interval too.
	Rate        *float64       `db:"rate" json:"rate"`               // Requests a second at most, evenly spaced; nil: no limit.
	Concurrency *int           `db:"concurrency" json:"concurrency"` // Requests in flight at most; nil: delivery.concurrency_per_subscription.
	Timeout     *time.Duration `db:"timeout" json:"timeout"`         // How long its server may take to answer; nil: delivery.timeout.
}

// String is the name, or the id where there is none.
func (s Subscription) String() string {
	if s.Name != nil {
		return *s.Name
	}
	return s.ID.String()
}

// GoString is String, so that %#v shows no secret either.
func (s Subscription) GoString() string { return s.String() }

// LogValue says which subscription it is and whether it is active.
func (s Subscription) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", s.ID.String()),
		slog.String("tenant", s.Tenant),
		slog.String("name", s.String()),
		slog.Bool("active", s.Active),
	)
}

// subscriptionFields is Subscription without its methods.
type subscriptionFields Subscription

// MarshalJSON leaves the secrets out.
func (s Subscription) MarshalJSON() ([]byte, error) {
	s.Secret, s.PreviousSecret = "", nil
	row := struct {
		subscriptionFields
		Timeout *string `json:"timeout"`
	}{subscriptionFields: subscriptionFields(s)}
	if s.Timeout != nil {
		text := s.Timeout.String()
		row.Timeout = &text
	}
	return json.Marshal(row)
}

// UnmarshalJSON reads what MarshalJSON wrote, and rows that Postgres made JSON of, such as those of
// outbox.subscription_changes.
func (s *Subscription) UnmarshalJSON(text []byte) error {
	row := struct {
		*subscriptionFields
		Timeout             *string `json:"timeout"`
		TimeoutMicroseconds *int64  `json:"timeout_us"`
	}{subscriptionFields: (*subscriptionFields)(s)}
	if err := json.Unmarshal(text, &row); err != nil {
		return err
	}
	s.Timeout = nil
	switch {
	case row.TimeoutMicroseconds != nil:
		timeout := time.Duration(*row.TimeoutMicroseconds) * time.Microsecond
		s.Timeout = &timeout
	case row.Timeout != nil:
		timeout, err := parseInterval(*row.Timeout)
		if err != nil {
			return fmt.Errorf("subscription's timeout: %w", err)
		}
		s.Timeout = &timeout
	}
	return nil
}

// parseInterval reads 1m30s and what Postgres writes by default, 00:01:30.5.
func parseInterval(text string) (time.Duration, error) {
	if parts := strings.Split(text, ":"); len(parts) == 3 {
		text = parts[0] + "h" + parts[1] + "m" + parts[2] + "s"
	}
	return time.ParseDuration(text)
}
