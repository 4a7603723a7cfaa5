package rig

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/bench/receiver"
	"github.com/outboxrelay/relay/internal/postgres"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == receiver.Command {
		if receiver.Serve() != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newRig is a rig without a relay.
func newRig(t *testing.T) *Rig {
	t.Helper()
	cluster, err := postgres.Start(t.Context(), postgres.Options{FsyncOff: true})
	require.NoError(t, err)
	r := &Rig{Cluster: cluster, dir: t.TempDir()}
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	r.Receiver, err = receiver.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(r.Receiver.Close)
	return r
}

func TestPeersSendEachEventOnce(t *testing.T) {
	r := newRig(t)
	for _, p := range []Peer{
		{"naive", "-workers 1"}, {"naive", "-workers 4 -batch 20"}, {"tuned", "-log -workers 2 -batch 100 -in-flight 8"}, {"river", "-workers 50 -cooldown 10ms"},
	} {
		t.Run(p.Kind+" "+p.Settings, func(t *testing.T) {
			db, err := r.NewDatabase(t.Context(), "peer")
			require.NoError(t, err)
			defer func() { require.NoError(t, r.Drop(t.Context(), db)) }()
			for range 2 { // the second time beside what was done in the first
				s, err := r.DrainPeer(t.Context(), db, p, r.Receiver.URL("/ok"), 450)
				require.NoError(t, err)
				require.Positive(t, s.Rate)
				require.Equal(t, 450, s.Count)
				require.Zero(t, s.Twice)
				got, err := r.Receiver.Arrived(t.Context())
				require.NoError(t, err)
				require.Equal(t, 450, got.Distinct())
			}
			if p.Kind == "naive" && p.Settings != "-workers 1" { // as the other
				return
			}
			delays, err := r.ObservePeer(t.Context(), db, p, r.Receiver.URL("/ok"), Stream{Rate: 100, Lasting: time.Second / 2})
			require.NoError(t, err)
			require.Len(t, delays, 50, "those of the warm-up don't count")
			require.Positive(t, delays.Percentile(50))
		})
	}
}

func TestCeilingReachesReceiver(t *testing.T) {
	p, err := receiver.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(p.Close)
	r := &Rig{Receiver: p}
	for _, url := range []string{p.URL("/ok"), p.SecureURL("/ok")} {
		s, err := r.Ceiling(t.Context(), Raw{URL: url, Count: 500})
		require.NoError(t, err)
		require.Positive(t, s.Rate)
		got, err := p.Arrived(t.Context())
		require.NoError(t, err)
		require.Len(t, got, 500)
		require.Equal(t, 500, got.Distinct())
	}
}

func TestProcessUsage(t *testing.T) {
	for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; { // some CPU time to find
	}
	cpu, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, cpu)
	peak, err := peakBytes(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, peak, int64(1<<20))
}

func TestMatch(t *testing.T) {
	at := time.Unix(1000, 0)
	id := func(n byte) uuid.UUID { return uuid.UUID{n} }
	commits := []commit{{id(1), at}, {id(2), at}}
	after := func(ms int64) int64 { return at.UnixNano() + ms*int64(time.Millisecond) }

	got, err := match(commits, receiver.Arrivals{{ID: id(2), At: after(8)}, {ID: id(1), At: after(2)}, {ID: id(2), At: after(90)}, {ID: id(3), At: after(1)}})
	require.NoError(t, err)
	require.Equal(t, Delays{2 * time.Millisecond, 8 * time.Millisecond}, got)

	_, err = match(commits, receiver.Arrivals{{ID: id(1), At: after(2)}})
	require.ErrorContains(t, err, "did not arrive")
}

func TestPercentile(t *testing.T) {
	var d Delays
	for i := range 1000 {
		d = append(d, time.Duration(i+1)*time.Millisecond)
	}
	require.InDelta(t, 500, d.Percentile(50), 0.001)
	require.InDelta(t, 990, d.Percentile(99), 0.001)
	require.InDelta(t, 999, d.Percentile(99.9), 0.001)
	require.InDelta(t, 1000, d.Percentile(100), 0.001)
}
