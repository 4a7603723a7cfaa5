package relay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseCodes(t *testing.T) {
	for _, tt := range []struct {
		items   []string
		in, out []int
	}{
		{nil, nil, []int{0, 100, 200, 599}},
		{[]string{"200"}, []int{200}, []int{0, 199, 201, 299, -200, 264}},
		{[]string{"2xx"}, []int{200, 204, 299}, []int{199, 300, 0}},
		{[]string{"2XX", "429", "5xx"}, []int{200, 299, 429, 500, 599}, []int{199, 300, 428, 430, 499, 600, 999}},
		{[]string{"100", "599", "599"}, []int{100, 599}, []int{99, 101, 598, 600}},
	} {
		t.Run(strings.Join(tt.items, " "), func(t *testing.T) {
			set, err := ParseCodes(tt.items)
			require.NoError(t, err)
			for _, code := range tt.in {
				require.True(t, set.Contains(code), code)
			}
			for _, code := range tt.out {
				require.False(t, set.Contains(code), code)
			}
		})
	}
}

func TestParseCodesRefuses(t *testing.T) {
	for _, item := range []string{
		"", "2", "20", "2000", "099", "600", "999", "0xx", "6xx", "xxx", "2x", "2xX", "20x", "x00", "-10", "+20", " 20", "20 ",
		"200 ", "２００", "unreachable", "4xx,5xx", "1e2", "2_0",
	} {
		_, err := ParseCodes([]string{"200", item})
		require.EqualError(t, err, fmt.Sprintf("%q is neither a status code (200) nor a class of them (2xx)", item))
	}
}

func FuzzParseCodes(f *testing.F) {
	f.Add("200", 200)
	f.Add("5xx", 503)
	f.Add("+99", -1)
	f.Fuzz(func(t *testing.T, item string, code int) {
		set, err := ParseCodes([]string{item})
		want := err == nil && code >= 100 && code <= 599 &&
			(item == fmt.Sprint(code) || strings.ToLower(item) == fmt.Sprint(code/100)+"xx")
		require.Equal(t, want, set.Contains(code))
	})
}
