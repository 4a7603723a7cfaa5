package relay

import (
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"
)

// The headers of a subscription are those that net/http would send, without those that the relay sets.
func FuzzTargetHeader(f *testing.F) {
	for _, seed := range [][2]string{
		{"x-a", "1"}, {"", ""}, {"Host", "a"}, {"webhook-ID", "a"}, {"a b", ""}, {"a:", ""}, {"é", ""}, {"x-a", "a\r\nb: c"}, {"x-a", "\x00"},
		{"x-a", "\t"}, {"x-a", "\xff"}, {"x-a", "\x7f"}, {"!#$%&'*+-.^_`|~09azAZ", " "},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		header, err := targetHeader(map[string]string{name: value})
		fits := httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value) && !reservedHeaders[strings.ToLower(name)]
		require.Equal(t, fits, err == nil, "%q: %q: %v", name, value, err)
		if err == nil {
			require.Equal(t, value, header.Get(name))
		}
	})
}

// What a server asks for is never less than nothing nor more than the most, and seconds are seconds.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, seed := range []string{
		"", "0", "120", " 7\t", "-5", "+5", "1.5", "1e3", "99999999999999999999999", "soon", "Sun, 01 Mar 2026 12:00:30 GMT",
		"Sunday, 01-Mar-26 12:00:30 GMT", "Sun Mar  1 12:00:30 2026", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "٣",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := retryAfter(header, now)
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, retryAfterMost)
		text := strings.TrimSpace(header)
		digits := text != "" && !slices.ContainsFunc([]byte(text), func(c byte) bool { return c < '0' || c > '9' })
		at, err := http.ParseTime(text)
		switch {
		case digits:
			seconds, _ := new(big.Int).SetString(text, 10)
			if most := big.NewInt(int64(retryAfterMost / time.Second)); seconds.Cmp(most) > 0 {
				seconds = most
			}
			require.Equal(t, time.Duration(seconds.Int64())*time.Second, got)
		case err != nil:
			require.Zero(t, got)
		case at.Before(now):
			require.Zero(t, got)
		}
	})
}

// The directory finds the same as looking at each subscription and pattern would.
func FuzzDirectory(f *testing.F) {
	f.Add("user.*,order.paid", "*", "user.invited", true)
	f.Add("a.*,a.b.*,a.b.c", "a", "a.b.c", false)
	f.Add("a..*,.*,", "..", "a..b", true)
	f.Add("*.*,**", "*", "*.a", true)
	f.Fuzz(func(t *testing.T, first, second, typ string, active bool) {
		all := []*subscription{
			testSubscription("default", active, strings.Split(first, ",")...),
			testSubscription("default", true, strings.Split(second, ",")...),
			testSubscription("other", true, strings.Split(first, ",")...),
		}
		d := newDirectory()
		for _, s := range all {
			d.set(s)
		}
		find := func() {
			for _, tenant := range []string{"default", "other", ""} {
				found := d.match(nil, tenant, typ)
				for _, s := range all {
					n := 0
					for _, one := range found {
						if one == s {
							n++
						}
					}
					want := 0
					if d.byID[s.id] != nil && s.active && s.tenant == tenant && slices.ContainsFunc(s.eventTypes, func(p string) bool {
						name, under := strings.CutSuffix(p, ".*")
						return p == "*" || under && strings.HasPrefix(typ, name+".") || !under && p == typ
					}) {
						want = 1
					}
					require.Equal(t, want, n, "%q of %q among %q", typ, tenant, s.eventTypes)
				}
			}
		}
		find()
		d.remove(all[0].id)
		find()
		d.remove(all[1].id)
		d.remove(all[2].id)
		find()
		require.Empty(t, d.tenants)
		require.Zero(t, d.active)
	})
}
