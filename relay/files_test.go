package relay

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
)

func TestConnectionsWithinAFileLimit(t *testing.T) {
	for files, connections := range map[uint64]int{
		0: 16, 64: 16, 96: 16, 128: 32, 1024: 480, 8192: 4064, 1 << 20: (1<<20 - 64) / 2, math.MaxUint64: math.MaxInt32,
	} {
		require.Equal(t, connections, connectionsWithin(files), "%d files", files)
	}
}

func TestWarnsOfFewFiles(t *testing.T) {
	cfg := config.Default()
	cfg.Database.URL = "postgres://localhost/app"
	var said bytes.Buffer
	r, err := New(cfg, Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	require.NoError(t, err)
	require.Equal(t, connectionsWithin(openFilesLimit()), r.dispatch.connections)
	require.Equal(t, min(512, r.dispatch.connections/2), r.dispatch.limit)
	r.dispatch.limit = 512
	r.warnOfFewFiles()
	require.Empty(t, said.String())
	r.dispatch.limit = 240
	r.warnOfFewFiles()
	require.Contains(t, said.String(), "in_flight=240 concurrency=512")
}

// URLs that hang fill half of the connections, however many they are; the others go on.
func TestDispatcherKeepsConnectionsFromThoseThatHang(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		const connections, limit, lasts = 64, 16, 15 * time.Second
		b := newBench(limit, 64)
		b.connections = connections
		go b.watch(ctx)
		var hanging []*subscription
		for range 40 {
			s := testSubscription("default", true, "*")
			b.lasts(s, lasts)
			b.failing(s, true)
			hanging = append(hanging, s)
		}
		claim := func() (inFlight int) {
			for _, s := range hanging {
				for range min(4, b.roomFor(s.id, s.limits)) {
					d := testDelivery(s, 1)
					d.claimed, d.spilled = true, true
					b.hold(d.event, 1)
					b.startClaimed(d)
				}
				inFlight += b.flying(s)
			}
			return inFlight
		}
		quick := testSubscription("default", true, "*")
		b.lasts(quick, 10*time.Millisecond)
		steady := func(most int) {
			t.Helper()
			for range 20 {
				require.LessOrEqual(t, claim(), most)
				before := len(b.done)
				_, v := b.give(quick, 1)
				require.Equal(t, taken, v)
				b.pass(100 * time.Millisecond)
				require.Greater(t, len(b.done), before)
			}
		}
		for range 3 {
			steady(connections / 2)
			require.Equal(t, connections/2, b.doubted)
			b.pass(lasts - time.Second)
		}
		b.pass(time.Minute)
		b.requireEmpty(t)
	})
}

// A relay that is busy with the stream leaves room for what is claimed.
func TestDispatcherLeavesConnectionsToWhatIsClaimed(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newBench(1000, 64)
		b.connections = 32
		var busy []*subscription
		for range 100 {
			s := testSubscription("default", true, "*")
			b.lasts(s, 100*time.Millisecond)
			busy = append(busy, s)
		}
		retried := testSubscription("default", true, "*")
		for range 10 {
			for _, s := range busy {
				b.give(s, 1)
				require.LessOrEqual(t, b.running, 28)
			}
			require.Equal(t, 4, b.roomFor(retried.id, retried.limits))
			b.pass(100 * time.Millisecond)
		}
		b.pass(time.Minute)
		b.requireEmpty(t)
	})
}
