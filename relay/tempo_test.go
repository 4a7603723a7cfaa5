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
		last                float64
		span                time.Duration
		want                float64
		quick               bool
	}{
		{name: "the lane is all there is", ended: 40, offered: 40, all: 40, span: tempoSpan, want: 4000, quick: true},
		{name: "a little slower", ended: 39, offered: 40, all: 40, span: tempoSpan, want: 3900},
		{name: "by the time that it took", ended: 40, offered: 40, all: 40, span: tempoSpan * 5 / 4, want: 3200},
		{name: "slow, with a small share", ended: 4, offered: 4, all: 80, span: tempoSpan, want: 8000, quick: true},
		{name: "slow, with a large share", ended: 4, offered: 40, all: 80, span: tempoSpan, want: 800},
		{name: "it was offered nothing", ended: 4, offered: 0, all: 60, span: tempoSpan, want: 24000, quick: true},
		{name: "it hangs", ended: 0, offered: 40, all: 80, span: tempoSpan},
		{name: "it was quick until now", ended: 0, offered: 40, all: 80, last: 10_000, span: tempoSpan, want: 5000, quick: true},
		{name: "it was quick, and has not been since", ended: 1, offered: 40, all: 80, last: 5000, span: tempoSpan, want: 2500},
		{name: "it gets quicker", ended: 60, offered: 60, all: 60, last: 5000, span: tempoSpan, want: 6000, quick: true},
		{name: "it had nothing to do for a while", ended: 1000, offered: 1000, all: 1000, last: 10_000, span: tempoStale + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			tempo := tempo{since: began, ended: c.ended, offered: c.offered, before: 1000, last: c.last}
			tempo.tell(began.Add(tempoSpan-1), 1000+c.all)
			require.InDelta(t, c.last, tempo.last, 0, "too early to tell")
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
