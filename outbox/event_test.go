package outbox

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEventFaults(t *testing.T) {
	t.Parallel()

	const typeReason = ` is not a dotted name: use letters, digits, _ and -, with dots between, such as user.invited`
	good := Event{Type: "user.invited", Payload: `{}`}

	tests := []struct {
		name string
		bad  func(*Event)
		want string
	}{
		{"no type", func(e *Event) { e.Type = "" }, `type ""` + typeReason},
		{"space in type", func(e *Event) { e.Type = "user invited" }, `type "user invited"` + typeReason},
		{"type ends in a dot", func(e *Event) { e.Type = "user." }, `type "user."` + typeReason},
		{"type begins with a dot", func(e *Event) { e.Type = ".user" }, `type ".user"` + typeReason},
		{"two dots in type", func(e *Event) { e.Type = "user..invited" }, `type "user..invited"` + typeReason},
		{"pattern as type", func(e *Event) { e.Type = "user.*" }, `type "user.*"` + typeReason},
		{"newline after type", func(e *Event) { e.Type = "user.invited\n" }, `type "user.invited\n"` + typeReason},
		{"letters beyond ASCII in type", func(e *Event) { e.Type = "café" }, `type "café"` + typeReason},
		{"long text as type", func(e *Event) { e.Type = strings.Repeat("{", 1000) },
			`type "` + strings.Repeat("{", 64) + `"` + typeReason},

		{"NUL in tenant", func(e *Event) { e.Tenant = "a\x00b" },
			`tenant contains a NUL byte, which Postgres text can't: remove it`},
		{"bytes as tenant", func(e *Event) { e.Tenant = "a\xffb" },
			`tenant is not valid UTF-8: Postgres keeps text alone, so encode other bytes`},
		{"NUL in user", func(e *Event) { e.UserID = "\x00" },
			`user_id contains a NUL byte, which Postgres text can't: remove it`},
		{"bytes as user", func(e *Event) { e.UserID = "\xc3\x28" },
			`user_id is not valid UTF-8: Postgres keeps text alone, so encode other bytes`},

		{"text as user", func(e *Event) { e.UserID = strings.Repeat("x", 2001) },
			`user_id has 2001 bytes: give an identifier of at most 2000`},
		{"text as tenant", func(e *Event) { e.Tenant = strings.Repeat("x", 2001) },
			`tenant has 2001 bytes: give an identifier of at most 2000`},

		{"year 0", func(e *Event) { e.CreatedAt = time.Date(0, 12, 31, 23, 59, 59, 0, time.UTC) },
			`created_at is in the year 0: give one from 1 to 9999, or the zero time for now`},
		{"year 10000 in UTC", func(e *Event) {
			e.CreatedAt = time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("", -3600))
		}, `created_at is in the year 10000: give one from 1 to 9999, or the zero time for now`},

		{"no payload", func(e *Event) { e.Payload = nil },
			`payload is missing: give a value, or json.RawMessage("null")`},
		{"empty payload", func(e *Event) { e.Payload = json.RawMessage{} },
			`payload is missing: give a value, or json.RawMessage("null")`},
		{"text as payload", func(e *Event) { e.Payload = "s3cret" },
			`payload is not valid JSON at byte 1: give JSON text, or a value for json.Marshal`},
		{"unfinished payload", func(e *Event) { e.Payload = []byte(`{"a":`) },
			`payload is not valid JSON at byte 5: give JSON text, or a value for json.Marshal`},
		{"two values as payload", func(e *Event) { e.Payload = `{} {}` },
			`payload is not valid JSON at byte 4: give JSON text, or a value for json.Marshal`},
		{"too deep a payload", func(e *Event) { e.Payload = strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) },
			`payload is not valid JSON at byte 10001: give JSON text, or a value for json.Marshal`},
		{"NUL in payload", func(e *Event) { e.Payload = "\"\x00\"" },
			`payload is not valid JSON at byte 2: give JSON text, or a value for json.Marshal`},
		{"bytes in payload", func(e *Event) { e.Payload = "\"\xff\"" },
			`payload is not valid UTF-8: JSON and Postgres know no other encoding`},
		{"channel as payload", func(e *Event) { e.Payload = make(chan int) },
			`payload can't be made JSON: json: unsupported type: chan int`},
		{"NaN as payload", func(e *Event) { e.Payload = math.NaN() },
			`payload can't be made JSON: json: unsupported value: NaN`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			bad := good
			tt.bad(&bad)
			// A nil Tx: what is wrong is found before anything is sent.
			ids, err := Insert(t.Context(), nil, good, bad)
			require.EqualError(t, err, "insert events: event 1: "+tt.want)
			require.Nil(t, ids)

			var fault *EventError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, 1, fault.Index)
			require.Equal(t, tt.want, fault.Field+" "+fault.Reason)

			_, err = InsertSQL(t.Context(), nil, good, bad)
			require.EqualError(t, err, "insert events: event 1: "+tt.want)
		})
	}
}

func TestEventFaultsAreAllReported(t *testing.T) {
	t.Parallel()

	_, err := Insert(t.Context(), nil,
		Event{Type: "a b", Tenant: "\x00", UserID: "\xff", Payload: `{`, CreatedAt: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)},
		Event{Type: "user.invited", Payload: `{}`},
		Event{Type: "user.invited"},
	)
	var places []string
	for line := range strings.Lines(err.Error()) {
		event, rest, _ := strings.Cut(strings.TrimPrefix(line, "insert events: "), ": ")
		field, _, _ := strings.Cut(rest, " ")
		places = append(places, event+" "+field)
	}
	require.Equal(t, []string{
		"event 0 type", "event 0 tenant", "event 0 user_id", "event 0 created_at", "event 0 payload", "event 2 payload",
	}, places)
}

func TestEventFaultsAreNotAFlood(t *testing.T) {
	t.Parallel()

	_, err := Insert(t.Context(), nil, make([]Event, 1000)...) // each lacks a type and a payload
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, maxFaults+1)
	require.Equal(t, "and 1980 more faults", lines[maxFaults])
}

func TestTooMuchPayload(t *testing.T) {
	t.Parallel()

	payload := json.RawMessage(`"` + strings.Repeat("x", 8<<20) + `"`)
	events := make([]Event, maxPayloadBytes/len(payload)+1)
	for i := range events {
		events[i] = Event{Type: "file.added", Payload: payload}
	}
	_, err := Insert(t.Context(), nil, events...)
	require.EqualError(t, err, "insert events: their payloads have 268435520 bytes, "+
		"one statement can carry 268435456: split them over several calls")
	require.NotErrorAs(t, err, new(*EventError), "no single event is to blame")
}

func TestNoEvents(t *testing.T) {
	t.Parallel()

	ids, err := Insert(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, ids)
	ids, err = InsertSQL(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, ids)
}
