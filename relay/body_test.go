package relay

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestAppendEnvelope(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	for _, tt := range []struct {
		name    string
		typ     string
		at      time.Time
		payload string
		want    string
	}{
		{
			"an event", "user.invited", at, `{"email": "ada@example.com"}`,
			`{"id":"` + id + `","type":"user.invited","timestamp":"2026-01-02T03:04:05.123456Z","data":{"email": "ada@example.com"}}`,
		},
		{
			"a payload byte for byte", "a", at, " { \"b\" :1e400,\n\"a\":\"\\u0000<\",\"b\":-0.0 }\t",
			`{"id":"` + id + `","type":"a","timestamp":"2026-01-02T03:04:05.123456Z","data": { "b" :1e400,` + "\n" +
				`"a":"\u0000<","b":-0.0 }` + "\t}",
		},
		{
			"another time zone, no fraction", "a", time.Date(2026, 7, 1, 0, 30, 0, 0, time.FixedZone("", 2*60*60)), `null`,
			`{"id":"` + id + `","type":"a","timestamp":"2026-06-30T22:30:00.000000Z","data":null}`,
		},
		{
			"a type that needs escapes", "a\"\\\n\u2028é", at, `1`,
			`{"id":"` + id + `","type":"a\"\\\n\u2028é","timestamp":"2026-01-02T03:04:05.123456Z","data":1}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := appendEnvelope([]byte("before "), id, tt.typ, tt.at, []byte(tt.payload))
			require.Equal(t, "before "+tt.want, string(got))
			require.True(t, json.Valid(got[len("before "):]))
		})
	}
}

func FuzzAppendEnvelope(f *testing.F) {
	f.Add("01890a5d-ac96-774b-bcce-b302099a8057", "user.invited", int64(1767323045123456), []byte(`{"a": [1, 2.50]}`))
	f.Add("\xff\"", "\x00<>&\u2028", int64(-1), []byte(` "\ud800" `))
	f.Fuzz(func(t *testing.T, id, typ string, micros int64, payload []byte) {
		at := time.UnixMicro(micros).UTC()
		if at.Year() < 0 || at.Year() > 9999 || !json.Valid(payload) {
			return
		}
		body := appendEnvelope(nil, id, typ, at, payload)
		var read struct {
			ID        string
			Type      string
			Timestamp time.Time
			Data      json.RawMessage
		}
		require.NoError(t, json.Unmarshal(body, &read))
		require.True(t, read.Timestamp.Equal(at), "%s is not %s", read.Timestamp, at)
		if utf8.ValidString(id) && utf8.ValidString(typ) {
			require.Equal(t, id, read.ID)
			require.Equal(t, typ, read.Type)
		}
		require.Contains(t, string(body), `,"data":`+string(payload)+`}`)
	})
}
