package relay

import (
	"encoding/json"
	"time"
)

// envelopeTime is RFC 3339 in UTC to the microsecond, which is what Postgres keeps.
const envelopeTime = "2006-01-02T15:04:05.000000Z"

// appendEnvelope appends the body of a request, {"id": …, "type": …, "timestamp": …, "data": …}, to dst and returns it.
// The payload, JSON text, goes in byte for byte.
func appendEnvelope(dst []byte, id string, typ string, createdAt time.Time, payload []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendJSONString(dst, id)
	dst = append(dst, `,"type":`...)
	dst = appendJSONString(dst, typ)
	dst = append(dst, `,"timestamp":"`...)
	dst = createdAt.UTC().AppendFormat(dst, envelopeTime)
	dst = append(dst, `","data":`...)
	dst = append(dst, payload...)
	return append(dst, '}')
}

// appendJSONString appends s as a JSON string. Ids and types need no escape; what does takes the slow way.
func appendJSONString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
