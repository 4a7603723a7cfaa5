package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTempo(t *testing.T) {
	t.Parallel()

	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name                string
		ended, offered, all int
		span                time.Duration
		want                float64
		quick               bool
	}{
		{name: "the lane is all there is", ended: 200, offered: 200, all: 200, span: tempoSpan, want: 4000, quick: true},
		{name: "a little slower", ended: 199, offered: 200, all: 200, span: tempoSpan, want: 3980},
		{name: "by the time that it took", ended: 200, offered: 200, all: 200, span: tempoSpan * 5 / 4, want: 3200},
		{name: "slow, with a small share", ended: 20, offered: 20, all: 400, span: tempoSpan, want: 8000, quick: true},
		{name: "slow, with a large share", ended: 20, offered: 200, all: 400, span: tempoSpan, want: 800},
		{name: "it was offered nothing", ended: 20, offered: 0, all: 300, span: tempoSpan, want: 120000, quick: true},
		{name: "it hangs", ended: 0, offered: 200, all: 400, span: tempoSpan},
		{name: "it had nothing to do for a while", ended: 1000, offered: 1000, all: 1000, span: 2 * tempoSpan},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			tempo := tempo{since: began, ended: c.ended, offered: c.offered, before: 1000}
			tempo.tell(began.Add(tempoSpan-1), 1000+c.all)
			require.Zero(t, tempo.last, "too early to tell")
			now := began.Add(c.span)
			tempo.tell(now, 1000+c.all)
			require.InDelta(t, c.want, tempo.last, 1e-6)
			require.Equal(t, c.quick, tempo.quick())
			require.Equal(t, now, tempo.since)
			require.Zero(t, tempo.ended+tempo.offered, "counted anew")
			require.Equal(t, 1000+c.all, tempo.before)
		})
	}
}
