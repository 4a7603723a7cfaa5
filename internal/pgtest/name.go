package pgtest

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

var names atomic.Int64

// Slot returns a name for a replication slot that no other test uses.
func Slot(t testing.TB) string { return unique(t) }

// unique returns a name for a database, role or slot that says whose it is: lower-case letters, digits and _, no longer
// than a name may be in Postgres (63).
func unique(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '_'
		}
	}, t.Name())
	return fmt.Sprintf("t%d_%d_%.40s", os.Getpid(), names.Add(1), name)
}
