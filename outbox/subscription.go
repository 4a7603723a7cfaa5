package outbox

import (
	"encoding/json"
	"log/slog"
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

// MarshalJSON leaves the secrets out.
func (s Subscription) MarshalJSON() ([]byte, error) {
	type row Subscription
	s.Secret, s.PreviousSecret = "", nil
	return json.Marshal(row(s))
}
