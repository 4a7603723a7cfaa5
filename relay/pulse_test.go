package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPulse(t *testing.T) {
	var p pulse
	now := time.Now()
	require.True(t, p.alive(now), "before it beats")
	p.beat(now)
	for range 100 {
		now = now.Add(stillFor)
		p.beat(now)
		require.True(t, p.alive(now))
	}
	require.False(t, p.alive(now.Add(stillFor+1)), "whoever looks first, before the next beat too")
	p.beat(now.Add(stillFor + 2))
	require.False(t, p.alive(now.Add(stillFor+3)), "and it is not forgotten")
	p.reset(now.Add(time.Hour))
	require.True(t, p.alive(now.Add(time.Hour)), "until a stream begins anew")

	// Where the machine stands still, the monotonic clock may, too.
	wall := now.Add(2 * time.Hour).Round(0)
	p.reset(wall)
	require.True(t, p.alive(wall.Add(time.Second)))
	require.False(t, p.alive(wall.Add(time.Minute)))

	var none *pulse
	require.True(t, none.alive(now))
}
