package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/access"
)

// Any query is a filter or is refused; a filter as an address says it is the same filter again.
func FuzzLogFilter(f *testing.F) {
	for _, seed := range []string{
		"", "status=unhappy&type=user.*&user=42&tenant=a&webhook=0199c82c-c07b-7d52-9a53-0f7a2d1c8e44&url=x&event=z&within=1h",
		"from=2026-01-31T15:04&to=2026-01-31+15:04:05", "from=0000-01-01&to=9999-12-31T23:59:59.999999999%2B14:00", "status=%00", "type=**", "a;b=%",
		"within=15m&from=yesterday", "user=%20%20a%20", "tenant=%ff",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string, operator bool) {
		read := func(query string) (*logFilter, bool) {
			r := &request{
				Request: &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/log", RawQuery: query}},
				viewer:  access.Viewer{Operator: operator, Tenant: "own"},
			}
			if r.readForm() != nil {
				return nil, false
			}
			filter := readFilter(r)
			return &filter, true
		}
		filter, ok := read(query)
		if !ok {
			return
		}
		again, ok := read(filter.query().Encode())
		require.True(t, ok)
		require.Equal(t, filter, again)
		asked := filter.read(now)
		require.Equal(t, asked, again.read(now))
		if !operator {
			require.Empty(t, asked.Tenant, "of a tenant's own, the scope says which it is")
		}
		for _, at := range []time.Time{asked.From, asked.To} {
			require.True(t, at.IsZero() || at.UTC().Year() >= 0 && at.UTC().Year() <= 10_000, "%s", at)
		}
		for _, text := range []string{asked.Type, asked.Tenant, asked.UserID, asked.URL} {
			require.True(t, isText(text))
		}
		if asked.Type != "" {
			require.Regexp(t, eventPattern, asked.Type)
		}
		for _, fault := range filter.Faults {
			require.True(t, slices.ContainsFunc(filter.fields(), func(field filterField) bool { return field.name == fault.Field }))
		}
		for _, chip := range filter.chips() {
			require.True(t, strings.HasPrefix(chip.Without, "/log"))
		}
	})
}

// A place in the log is what an address says, or is refused.
func FuzzPlace(f *testing.F) {
	for _, seed := range []string{
		"", "1767323045123456_0199c82c-c07b-7d52-9a53-0f7a2d1c8e44", "_", "0_", "-62135596800000000_00000000-0000-0000-0000-000000000000",
		"99999999999999999999_0199c82c-c07b-7d52-9a53-0f7a2d1c8e44", "9223372036854775807_0199c82c-c07b-7d52-9a53-0f7a2d1c8e44", "+1_{0199c82c}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		place, err := parsePlace(text)
		if err != nil || text == "" {
			return
		}
		require.True(t, place.At.Year() >= 1 && place.At.Year() <= 9999)
		again, err := parsePlace(placeText(place))
		require.NoError(t, err)
		require.Equal(t, place, again)
	})
}
