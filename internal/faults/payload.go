package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/google/uuid"
)

// eventTypes are what the writers write, with the share of each in a hundred.
var eventTypes = []struct {
	name  string
	share int
}{
	{"order.paid", 48},
	{"order.refunded", 2}, // Few, since these go to the receiver that hangs.
	{"user.created", 30},
	{"invoice.line.added", 20},
}

// fact is what the writer knows of one event before it is committed.
type fact struct {
	id      uuid.UUID
	typ     string
	payload string
	hash    string
}

func newFact(random *rand.Rand, typ string) fact {
	f := fact{id: uuid.Must(uuid.NewV7()), typ: typ, payload: newPayload(random)}
	f.hash = hashOf([]byte(f.payload))
	return f
}

func randomType(random *rand.Rand) string {
	n := random.IntN(100)
	for _, t := range eventTypes {
		if n -= t.share; n < 0 {
			return t.name
		}
	}
	return eventTypes[0].name
}

// newPayload is JSON of several sizes, up to one that Postgres keeps out of line, with what a careless copy would change:
// spaces, the order of keys, a key that is there twice, escapes, large numbers, letters beyond ASCII.
func newPayload(random *rand.Rand) string {
	size := 60
	switch n := random.IntN(100); {
	case n < 2:
		size = 60_000
	case n < 10:
		size = 12_000
	case n < 30:
		size = 1_500
	}
	var pad strings.Builder
	for pad.Len() < size {
		fmt.Fprintf(&pad, "%016x", random.Uint64()) // Does not compress to nothing.
	}
	return fmt.Sprintf(`{ "n":%d,"z": 1.10, "a":"\u00e9é\/","z": 12345678901234567890,  "pad":"%s"}`, random.IntN(1_000_000), pad.String())
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
