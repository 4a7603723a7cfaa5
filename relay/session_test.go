package relay

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
