package outbox

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rule of event types is that of the database.
func FuzzValidType(f *testing.F) {
	for _, seed := range []string{"", "a", "user.invited", ".", "a..b", "a.", ".a", "a b", "a\n", "é", "A_-9.z", "\xff", "a.*"} {
		f.Add(seed)
	}
	rule := regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`) // events_type_check
	f.Fuzz(func(t *testing.T, typ string) {
		require.Equal(t, rule.MatchString(typ), validType(typ), "%q", typ)
	})
}
