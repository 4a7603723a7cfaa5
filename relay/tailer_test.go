package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tailerBench is a tailer without a connection that notes what it tells the server.
type tailerBench struct {
	*tailer
	told []pglogrepl.StandbyStatusUpdate
	at   []time.Time
	err  error
}

func newTailerBench() *tailerBench {
	b := &tailerBench{}
	b.tailer = &tailer{
		log: testLog(), router: newRouter(), tracker: &tracker{}, metrics: testMetrics(), room: make(chan struct{}),
		persisted: &atomic.Uint64{}, hurry: make(chan struct{}, 1), relations: make(map[uint32]*relation),
		heardAt: time.Now(), unknown: make(map[byte]bool), slot: "relay", deadAfter: deadAfter(time.Minute),
	}
	b.status = func(_ context.Context, s pglogrepl.StandbyStatusUpdate) error {
		b.told, b.at = append(b.told, s), append(b.at, time.Now())
		return b.err
	}
	return b
}

func (b *tailerBench) begin(at pglogrepl.LSN) *transaction {
	message := binary.BigEndian.AppendUint64([]byte{'B'}, uint64(at))
	if err := b.decode(context.Background(), append(message, make([]byte, 12)...)); err != nil {
		panic(err)
	}
	return b.tx
}

func (b *tailerBench) commit(end pglogrepl.LSN) error {
	message := binary.BigEndian.AppendUint64(make([]byte, 10), uint64(end))
	message[0] = 'C'
	return b.decode(context.Background(), append(message, make([]byte, 8)...))
}

// hear brings a keepalive; asks: the server wants an answer.
func (b *tailerBench) hear(end pglogrepl.LSN, asks bool) error {
	b.heardAt = time.Now()
	message := append(binary.BigEndian.AppendUint64(nil, uint64(end)), make([]byte, 9)...)
	if asks {
		message[16] = 1
	}
	return b.keepalive(message)
}

// last returns the position that the server was told of last.
func (b *tailerBench) last() pglogrepl.LSN {
	if len(b.told) == 0 {
		return 0
	}
	return b.told[len(b.told)-1].WALFlushPosition
}

func TestTailerConfirmsWhatIsSettledAndPersisted(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newTailerBench()
		say := func() pglogrepl.LSN {
			time.Sleep(replyEvery)
			require.NoError(t, b.speak(false))
			return b.last()
		}
		tx := b.begin(100)
		tx.add(1)
		require.NoError(t, b.hear(500, false))
		b.persisted.Store(1000)
		require.Zero(t, say(), "between begin and commit")
		require.NoError(t, b.commit(110))
		require.NoError(t, b.hear(600, false))
		require.Zero(t, say(), "a delivery is not recorded")
		tx.settle()
		b.router.lookups = []*delivery{nil}
		require.Equal(t, lsn(110), say(), "while deliveries are to be looked up, no further than the commit")
		b.router.lookups = nil
		b.persisted.Store(300)
		require.Equal(t, lsn(300), say(), "no further than is persisted")
		require.EqualValues(t, 600, b.safe.Load(), "which is what may be persisted")
		b.persisted.Store(1000)
		require.Equal(t, lsn(600), say(), "the end that the server named, so that an idle outbox retains nothing")
		s := b.told[len(b.told)-1]
		require.Equal(t, []pglogrepl.LSN{600, 600}, []pglogrepl.LSN{s.WALWritePosition, s.WALApplyPosition}, "all three are set")
	})
}

func TestTailerSpeaksEverySecondAndAnswersWhenAsked(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newTailerBench()
		require.NoError(t, b.speak(false))
		require.Len(t, b.told, 1)
		for range 99 {
			time.Sleep(10 * time.Millisecond)
			require.NoError(t, b.speak(false))
		}
		require.Len(t, b.told, 1)
		time.Sleep(10 * time.Millisecond)
		require.NoError(t, b.speak(false))
		require.Len(t, b.told, 2, "with nothing new to say")
		time.Sleep(replyEvery)
		require.NoError(t, b.hear(0, true))
		require.Len(t, b.told, 3, "asked")
		for range 10_000 { // A server that is shutting down.
			time.Sleep(10 * time.Microsecond)
			require.NoError(t, b.hear(0, true))
		}
		require.InDelta(t, 3+10, len(b.told), 1, "but not in a storm")
	})
}

func TestTailerIsAskedForMoreThanIsPersisted(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newTailerBench()
		b.persisted.Store(100)
		time.Sleep(time.Second)
		require.NoError(t, b.hear(500, true))
		require.Equal(t, lsn(100), b.last(), "never beyond what is persisted")
		require.Len(t, b.hurry, 1, "but it is to be persisted at once")
		<-b.hurry
		b.persisted.Store(500)
		time.Sleep(replyEvery)
		require.NoError(t, b.hear(500, true))
		require.Equal(t, lsn(500), b.last())
		require.Empty(t, b.hurry)

		var err error
		asks := 0
		for ; err == nil && asks < 10*askedInVain; asks++ {
			err = b.hear(600, true)
		}
		require.ErrorContains(t, err, "going down", "nobody can persist it: let go of the slot")
		require.Greater(t, asks, askedInVain)
	})
}

func TestTailerGivesUpAServerThatIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newTailerBench()
		began := time.Now()
		var err error
		for err == nil {
			time.Sleep(readFor)
			err = b.speak(false)
		}
		require.ErrorContains(t, err, "silent")
		require.InDelta(t, deadAfter(time.Minute), time.Since(began), float64(statusEvery+readFor))
		first := slices.IndexFunc(b.told, func(s pglogrepl.StandbyStatusUpdate) bool { return s.ReplyRequested })
		require.InDelta(t, askAfter, b.at[first].Sub(began), float64(statusEvery+readFor), "asked to say something before")
	})
}

// A server that decodes a big transaction of which nothing is published says something once in half of wal_sender_timeout.
func TestTailerOutlastsAServerThatDecodes(t *testing.T) {
	for name, tt := range map[string]struct {
		senderTimeout, silence time.Duration
		survives               bool
	}{
		"the default":           {time.Minute, 35 * time.Second, true},
		"the default, too long": {time.Minute, 41 * time.Second, false},
		"short":                 {10 * time.Second, 29 * time.Second, true},
		"short, too long":       {10 * time.Second, 31 * time.Second, false},
		"long":                  {5 * time.Minute, 155 * time.Second, true},
		"long, too long":        {5 * time.Minute, 161 * time.Second, false},
		"off":                   {0, 14 * time.Minute, true},
		"off, too long":         {0, 15*time.Minute + time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ context.Context) {
				b := newTailerBench()
				b.deadAfter = deadAfter(tt.senderTimeout)
				for range 3 { // Each silence counts for itself.
					var err error
					for began := time.Now(); err == nil && time.Since(began) < tt.silence; {
						time.Sleep(readFor)
						err = b.speak(false)
					}
					if !tt.survives {
						require.ErrorContains(t, err, "silent")
						return
					}
					require.NoError(t, err)
					require.True(t, b.told[len(b.told)-1].ReplyRequested)
					require.NoError(t, b.hear(0, false))
				}
			})
		})
	}
}

// An idle server says something only when it is asked.
func TestTailerKeepsAnIdleStream(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		b := newTailerBench()
		asked, said := 0, 0
		for began := time.Now(); time.Since(began) < time.Hour; {
			time.Sleep(readFor)
			require.NoError(t, b.speak(false))
			if len(b.told) > said && b.told[len(b.told)-1].ReplyRequested {
				asked++
				require.NoError(t, b.hear(0, false))
			}
			said = len(b.told)
		}
		require.InDelta(t, time.Hour/(askAfter+statusEvery), asked, 30, "after askAfter, with the next status")
	})
}

func TestTailerGoesOnSpeakingWhileThereIsNoRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newTailerBench()
		room := make(chan struct{}, 1)
		b.room = room
		for range 100 {
			require.NoError(t, b.pause(ctx, time.Second))
		}
		require.InDelta(t, 100, len(b.told), 2, "for minutes, though it does not listen")
		room <- struct{}{}
		began := time.Now()
		require.NoError(t, b.pause(ctx, time.Minute))
		require.Zero(t, time.Since(began))
		ended, cancel := context.WithCancelCause(ctx)
		cancel(errStandby)
		require.ErrorIs(t, b.pause(ended, time.Second), errStandby)
		b.err = errors.New("broken pipe")
		time.Sleep(time.Minute)
		require.ErrorContains(t, b.pause(ctx, time.Second), "confirm a position: broken pipe")
	})
}

func TestTailerGoesOnSpeakingBesideALookup(t *testing.T) {
	inBubble(t, func(t *testing.T, ctx context.Context) {
		b := newTailerBench()
		asks := func(ctx context.Context) error {
			select {
			case <-time.After(20 * time.Second):
				return errStandby
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		require.ErrorIs(t, b.beside(ctx, asks), errStandby)
		require.InDelta(t, 20, len(b.told), 2)
		began := time.Now()
		b.err = errors.New("broken pipe")
		require.ErrorContains(t, b.beside(ctx, asks), "confirm a position: broken pipe")
		require.Equal(t, statusEvery, time.Since(began), "what it did is called off")
	})
}

func TestTailerSurvivesWhatItDoesNotKnow(t *testing.T) {
	b := newTailerBench()
	ctx := context.Background()
	for _, message := range []string{"", "O12345", "Y", "T", "M", "?"} {
		require.NoError(t, b.decode(ctx, []byte(message)))
	}
	require.ErrorIs(t, b.commit(100), errOutside)
	require.ErrorIs(t, b.decode(ctx, insertMessage()), errOutside)
	tx := b.begin(100)
	require.NoError(t, b.decode(ctx, insertMessage("row of a table that was not described")))
	b.relations[7] = eventsRelation(t, "id", "type", "tenant", "user_id", "payload", "created_at")
	require.NoError(t, b.decode(ctx, insertMessage("not an id", "a", "default", nil, "1", "2026-01-02 03:04:05+00")))
	require.NoError(t, b.commit(110))
	require.Zero(t, tx.pending.Load())
	require.Equal(t, lsn(110), b.confirmable(), "passed over")
}

// Whatever the stream brings and however slowly it is recorded and persisted, the server is told of nothing beyond what
// stands in the database, and never of less than before.
func TestTailerNeverConfirmsTooMuch(t *testing.T) {
	inBubble(t, func(t *testing.T, _ context.Context) {
		rapid.Check(bubbleTB{t}, func(t *rapid.T) {
			b := newTailerBench()
			type read struct {
				tx    *transaction
				end   pglogrepl.LSN // 0: still open.
				owing int
			}
			var txs []*read
			var at, serverEnd, bound pglogrepl.LSN
			next := func() pglogrepl.LSN {
				at += pglogrepl.LSN(rapid.IntRange(1, 100).Draw(t, "bytes"))
				return at
			}
			for range rapid.IntRange(1, 100).Draw(t, "steps") {
				var open *read
				if n := len(txs); n > 0 && txs[n-1].end == 0 {
					open = txs[n-1]
				}
				switch rapid.IntRange(0, 8).Draw(t, "step") {
				case 0, 1:
					if open == nil {
						txs = append(txs, &read{tx: b.begin(next())})
					}
				case 2:
					if open != nil {
						open.tx.add(1)
						open.owing++
					}
				case 3:
					if open != nil {
						open.end = next()
						serverEnd = open.end
						require.NoError(t, b.commit(open.end))
					}
				case 4, 5:
					for _, r := range txs {
						if r.owing > 0 && rapid.Bool().Draw(t, "recorded") {
							r.tx.settle()
							r.owing--
						}
					}
				case 6:
					end := next()
					if open == nil {
						serverEnd = end
					}
					require.NoError(t, b.hear(end, rapid.Bool().Draw(t, "asks")))
				case 7:
					b.persisted.Store(max(b.persisted.Load(), b.safe.Load()))
				case 8:
					time.Sleep(time.Duration(rapid.IntRange(1, 1500).Draw(t, "pass")) * time.Millisecond)
				}
				b.heardAt = time.Now()
				require.NoError(t, b.speak(false))

				settled, all := pglogrepl.LSN(0), true
				for _, r := range txs {
					if all = r.end > 0 && r.owing == 0; !all {
						break
					}
					settled = r.end
				}
				if all {
					settled = max(settled, serverEnd)
				}
				bound = max(bound, settled)
				require.LessOrEqual(t, b.last(), bound)
				require.LessOrEqual(t, b.last(), lsn(int(b.persisted.Load())))
				require.Equal(t, settled, lsn(int(b.safe.Load())), "and all of that may be persisted")
				require.True(t, slices.IsSortedFunc(b.told, func(a, b pglogrepl.StandbyStatusUpdate) int {
					return int(a.WALFlushPosition) - int(b.WALFlushPosition)
				}), "never back")
			}
			for _, r := range txs {
				for range r.owing {
					r.tx.settle()
				}
				if r.end == 0 {
					require.NoError(t, b.commit(next()))
				}
			}
			b.persisted.Store(uint64(at))
			time.Sleep(replyEvery)
			b.heardAt = time.Now()
			require.NoError(t, b.speak(false))
			require.Empty(t, b.tracker.open, "nothing is kept")
			require.GreaterOrEqual(t, b.last(), serverEnd)
		})
	})
}
