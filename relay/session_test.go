package relay

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
)

// A relay that stands by claims what is due, a large backlog as well, and is to lead within a second all the same.
func TestClaimsDoNotKeepARelayFromLeading(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		recorder, bench := newRecorderBench(), newBench(10, 10)
		recorder.takes = 20 * time.Millisecond
		r := &Relay{tracker: &tracker{}, recorder: recorder.recorder, dispatch: bench.dispatcher, claimer: &claimer{}}
		go recorder.run(ctx)
		sub := testSubscription("default", true, "*")
		go func() {
			for ctx.Err() == nil {
				recorder.putAccepted(sub)
				time.Sleep(time.Millisecond)
			}
		}()
		bench.pass(time.Second)
		began := time.Now()
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		r.awaitOwned(short)
		require.Less(t, time.Since(began), time.Second)

		bench.lasts(sub, 200*time.Millisecond)
		bench.give(sub, 1)
		began = time.Now()
		r.awaitOwned(short)
		require.GreaterOrEqual(t, time.Since(began), bench.takes[sub.id], "what came down the stream is waited for")
	})
}

// A stop waits for requests as long as delivery.timeout says, records them and gives back what was not sent.
func TestAStop(t *testing.T) {
	for name, tt := range map[string]struct {
		takes             time.Duration // A request in flight.
		down              bool          // The database,
		back              time.Duration // until then; 0: for good.
		recorded          bool
		atLeast, lessThan time.Duration
	}{
		"at once":                             {recorded: true, lessThan: time.Second},
		"a slow answer":                       {takes: 10 * time.Second, recorded: true, atLeast: 10 * time.Second, lessThan: 11 * time.Second},
		"a timeout of the subscription's own": {takes: time.Hour, atLeast: 15 * time.Second, lessThan: 21 * time.Second},
		"no database":                         {down: true, atLeast: drainSlack, lessThan: drainSlack + 2*time.Second},
		"a database that comes back":          {down: true, back: 2 * time.Second, recorded: true, lessThan: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context) {
				recorder, claims := newRecorderBench(), newClaimerBench(1, 1)
				cfg := config.Default()
				cfg.Database.URL = "postgres://"
				r, err := New(cfg, Options{})
				require.NoError(t, err)
				work, endWork := context.WithCancel(ctx)
				r.work, r.recorder, r.claimer, r.dispatch = work, recorder.recorder, claims.claimer, claims.dispatch
				r.dispatch.record = r.recordAttempt
				r.dispatch.attempt = func(_ *Client, d *delivery) {
					select {
					case <-time.After(tt.takes):
						answered(d)
					case <-work.Done():
						d.outcome = Outcome{Aborted: true}
					}
				}
				if tt.down {
					away := time.Now()
					recorder.refuse = func(string, []any) error {
						if tt.back > 0 && time.Since(away) > tt.back {
							return nil
						}
						return errors.New("connection refused")
					}
				}
				recording, endRecording := context.WithCancel(ctx)
				defer endRecording()
				go recorder.run(recording)
				go r.dispatch.watch(recording)
				sub := testSubscription("default", true, "*")
				claims.bench.give(sub, 1)
				held := claims.owe(sub, 1, 0)[0]
				held.lease = uuid.New()
				d := testDelivery(sub, 1)
				d.id, d.claimed, d.spilled, d.lease = held.id, true, true, lease{token: held.lease, until: time.Now().Add(time.Hour)}
				r.dispatch.hold(d.event, 1)
				r.dispatch.startClaimed(d)

				began := time.Now()
				r.drain(endWork)
				require.GreaterOrEqual(t, time.Since(began), tt.atLeast)
				require.Less(t, time.Since(began), tt.lessThan)
				require.Equal(t, tt.recorded, len(recorder.writes) > 0 && slices.Contains(recorder.writes[len(recorder.writes)-1].statuses, "accepted"))
				require.Equal(t, []uuid.UUID{held.id}, claims.released)
				require.Zero(t, r.dispatch.inFlight())
			})
		})
	}
}
