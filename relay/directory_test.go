package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func testSubscription(tenant string, active bool, eventTypes ...string) *subscription {
	return &subscription{id: uuid.New(), tenant: tenant, active: active, eventTypes: eventTypes}
}

func TestDirectoryMatches(t *testing.T) {
	for pattern, matches := range map[string]map[string]bool{
		"user.invited": {"user.invited": true, "user.invited.twice": false, "user": false, "users.invited": false},
		"user.*":       {"user.invited": true, "user.a.b": true, "user": false, "users.a": false},
		"a.b.*":        {"a.b.c": true, "a.b": false, "a.c.b": false},
		"*":            {"anything": true, "a.b.c": true},
	} {
		d := newDirectory()
		s := testSubscription("default", true, pattern)
		d.set(s)
		for typ, want := range matches {
			require.Equal(t, want, len(d.match(nil, "default", typ)) == 1, "%s by %s", typ, pattern)
			require.Empty(t, d.match(nil, "other", typ), "another tenant")
		}
	}
}

func TestDirectoryFindsEachSubscriptionOnce(t *testing.T) {
	d := newDirectory()
	d.set(testSubscription("default", true, "*", "a.*", "a.b", "a.b"))
	require.Len(t, d.match(nil, "default", "a.b"), 1)
	require.Len(t, d.match(nil, "default", "a.b"), 1, "the second time as well")
}

// The index finds what looking at every subscription finds, whatever changes came before.
func TestDirectoryAgreesWithLookingAtEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDirectory()
		plain := make(map[uuid.UUID]*subscription)
		ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		types := []string{"a", "a.b", "a.b.c", "b", "b.a"}
		patterns := []string{"*", "a", "a.*", "a.b", "a.b.*", "b.*", "b.a"}
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			id := rapid.SampledFrom(ids).Draw(t, "id")
			if rapid.IntRange(0, 4).Draw(t, "remove") == 0 {
				d.remove(id)
				delete(plain, id)
				continue
			}
			s := testSubscription(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "tenant"), rapid.Bool().Draw(t, "active"),
				rapid.SliceOfN(rapid.SampledFrom(patterns), 1, 4).Draw(t, "patterns")...)
			s.id = id
			d.set(s)
			plain[id] = s
		}
		tenant, typ := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "event's tenant"), rapid.SampledFrom(types).Draw(t, "type")
		var want, got []string
		active := 0
		for id, s := range plain {
			if s.active {
				active++
			}
			if s.active && s.tenant == tenant && slices.ContainsFunc(s.eventTypes, func(p string) bool {
				return p == "*" || p == typ || strings.HasSuffix(p, ".*") && strings.HasPrefix(typ, p[:len(p)-1])
			}) {
				want = append(want, id.String())
			}
		}
		for _, s := range d.match(nil, tenant, typ) {
			got = append(got, s.id.String())
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) || d.active != active {
			t.Fatalf("want %v (%d active), got %v (%d active)", want, active, got, d.active)
		}
	})
}

func TestParseSubscription(t *testing.T) {
	const secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	row := func(extra string) []byte {
		return fmt.Appendf(nil, `{"id":"01a20937-d599-7c9e-8834-6847acbc5108","tenant":"default","url":"https://x.example/","event_types":["*"],
			"secret":%q,"headers":{},"active":true%s}`, secret, extra)
	}
	s, err := parseSubscription(row(`,"previous_secret":"whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB","previous_secret_expires_at":"2026-01-02T03:04:05+00:00"`))
	require.NoError(t, err)
	require.NoError(t, s.fault)
	require.Len(t, s.targetAt(s.rotatedAt.Add(-1)).Secrets, 2, "while the old secret is valid")
	require.Len(t, s.targetAt(s.rotatedAt).Secrets, 1, "after")

	s, err = parseSubscription(row(`,"previous_secret":"whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB","previous_secret_expires_at":null`))
	require.NoError(t, err)
	require.Len(t, s.targetAt(s.rotatedAt).Secrets, 2, "without an end")

	s, err = parseSubscription([]byte(`{"id":"01a20937-d599-7c9e-8834-6847acbc5108","url":"ftp://x","secret":"hunter2","active":true}`))
	require.NoError(t, err, "still matches events")
	require.Error(t, s.fault)
	require.NotContains(t, s.fault.Error(), "hunter2")
}

// A row that is not in UTF-8, of a database of encoding SQL_ASCII, is read byte for byte: its tenant is that of the events.
func TestASubscriptionThatIsNotUTF8(t *testing.T) {
	row := `{"id":"5f1c1f0e-3d8e-5a55-8a0c-5b1a4c0b7f11","tenant":"caf%[1]s \"\\\u0001","url":"https://example.com/%[1]s",` +
		`"event_types":["*"],"secret":"whsec_` + strings.Repeat("a", 32) + `","headers":{"x-name": "Zo%[1]s"},"active":true}`
	d := newDirectory()
	for _, accent := range []string{"\xe9", "\xe8", "é"} {
		s, err := parseSubscription(fmt.Appendf(nil, row, accent))
		require.NoError(t, err)
		require.NoError(t, s.fault)
		require.Equal(t, "caf"+accent+" \"\\\x01", s.tenant)
		require.Equal(t, "https://example.com/"+accent, s.url)
		require.Equal(t, "Zo"+accent, s.target.Header.Get("x-name"))
		s.id = uuid.New()
		d.set(s)
		require.Equal(t, []*subscription{s}, d.match(nil, s.tenant, "a"))
	}
}
