package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/postgres"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == receiverCommand {
		exit(serveReceiver())
	}
	os.Exit(m.Run())
}

func newReceiver(t *testing.T) *receiverProcess {
	r, err := startReceiver(t.Context())
	require.NoError(t, err)
	t.Cleanup(r.close)
	return r
}

func TestCeilingReachesReceiver(t *testing.T) {
	r := newReceiver(t)
	raw, err := ceiling(t.Context(), r, 500)
	require.NoError(t, err)
	require.Positive(t, raw.rate)

	got, err := r.arrivals(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 500)
	require.Equal(t, 500, got.distinct())

	require.NoError(t, r.reset(t.Context(), 0))
	got, err = r.arrivals(t.Context())
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestReceiverHangsUntilReleased(t *testing.T) {
	r := newReceiver(t)
	answered := make(chan error, 1)
	go func() { answered <- post(t.Context(), http.DefaultClient, r.url("/hang"), uuid.NewString(), nil) }()
	select {
	case err := <-answered:
		t.Fatalf("answered before it was released: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	for { // the request may still be on its way when the receiver is told
		require.NoError(t, r.release(t.Context()))
		select {
		case err := <-answered:
			require.NoError(t, err)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestReceiverWaitEndsWithContext(t *testing.T) {
	r := newReceiver(t)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := r.wait(ctx, 1)
	require.ErrorIs(t, err, reason)
}

func TestPollSendsEachEventOnce(t *testing.T) {
	cluster, err := postgres.Start(t.Context(), postgres.Options{FsyncOff: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	b := &bench{cluster: cluster, receiver: newReceiver(t)}

	for _, workers := range []int{1, 4} {
		rate, err := poll(t.Context(), b, workers, 450)
		require.NoError(t, err)
		require.Positive(t, rate)
		got, err := b.receiver.arrivals(t.Context())
		require.NoError(t, err)
		require.Len(t, got, 450)
		require.Equal(t, 450, got.distinct())
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

	got, err := match(commits, arrivals{{id(2), after(8)}, {id(1), after(2)}, {id(2), after(90)}, {id(3), after(1)}})
	require.NoError(t, err)
	require.Equal(t, delays{2 * time.Millisecond, 8 * time.Millisecond}, got)

	_, err = match(commits, arrivals{{id(1), after(2)}})
	require.ErrorContains(t, err, "did not arrive")
}

func TestPercentile(t *testing.T) {
	var d delays
	for i := range 1000 {
		d = append(d, time.Duration(i+1)*time.Millisecond)
	}
	require.InDelta(t, 500, d.percentile(50), 0.001)
	require.InDelta(t, 990, d.percentile(99), 0.001)
	require.InDelta(t, 1000, d.percentile(100), 0.001)
}

func TestChoose(t *testing.T) {
	chosen, err := choose("")
	require.NoError(t, err)
	require.Equal(t, measurements[0].name, chosen[0].name)
	require.Len(t, chosen, len(measurements))

	chosen, err = choose("memory, drain")
	require.NoError(t, err)
	require.Len(t, chosen, 2)
	require.Equal(t, "memory", chosen[0].name)

	_, err = choose("drain,speed")
	require.EqualError(t, err, `no measurement "speed": there are drain, slow, latency, isolation, memory`)
}

func TestReportTable(t *testing.T) {
	r := &report{
		Machine: []string{"Machine   2 CPUs"},
		Sections: []section{
			{About: "Draining", Figures: []figure{
				{Name: "relay", Value: 12345.6, Unit: "deliveries/s", Note: "30,000 events"},
				{Name: "relay ÷ ceiling", Value: 0.513, Target: atLeast(0.45)},
				{Name: "p99", Value: 12.34, Unit: "ms", Target: below(10)},
			}},
			{About: "Memory", Error: "relay ended"},
		},
		Seconds: 61,
	}
	var out strings.Builder
	require.NoError(t, r.writeTable(&out))
	require.Equal(t, `Machine   2 CPUs

Draining
  relay            12,346 deliveries/s            30,000 events
  relay ÷ ceiling    0.51               ✓ ≥ 0.45
  p99                12.3 ms            ✗ < 10

Memory
  not measured: relay ended

61 s in all
`, out.String())
}
