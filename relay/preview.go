package relay

import (
	"time"

	"github.com/google/uuid"
)

// Preview returns the body that an event is sent with: for a log or a documentation to show.
func (r *Relay) Preview(id uuid.UUID, eventType string, createdAt time.Time, payload []byte) []byte {
	return r.body(eventRow{id: id, typ: eventType, payload: payload, createdAt: createdAt})
}
