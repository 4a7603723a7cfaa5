package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
)

func TestSenderWatch(t *testing.T) {
	const (
		waits, decodes = true, false
		never          = time.Duration(0)
	)
	look := func(pid int, listens bool, reply string) *store.Sender {
		return &store.Sender{PID: pid, Listens: listens, Reply: reply}
	}
	for name, c := range map[string]struct {
		looks []*store.Sender // One a second.
		want  time.Duration   // At the last.
	}{
		"nothing new is heard":            {[]*store.Sender{look(1, waits, "a"), look(1, waits, "a"), look(1, waits, "a")}, 2 * time.Second},
		"something new is heard":          {[]*store.Sender{look(1, waits, "a"), look(1, waits, "a"), look(1, waits, "b")}, never},
		"nothing since":                   {[]*store.Sender{look(1, waits, "a"), look(1, waits, "b"), look(1, waits, "b")}, time.Second},
		"it decodes":                      {[]*store.Sender{look(1, waits, "a"), look(1, waits, "a"), look(1, decodes, "a")}, never},
		"it decoded meanwhile":            {[]*store.Sender{look(1, waits, "a"), look(1, decodes, "a"), look(1, waits, "a")}, never},
		"it decoded, and waits":           {[]*store.Sender{look(1, waits, "a"), look(1, decodes, "a"), look(1, waits, "a"), look(1, waits, "a")}, 3 * time.Second},
		"it has decoded for long":         {[]*store.Sender{look(1, decodes, "a"), look(1, decodes, "a"), look(1, waits, "a")}, never},
		"another process":                 {[]*store.Sender{look(1, waits, "a"), look(1, waits, "a"), look(2, waits, "a")}, never},
		"none, and it again":              {[]*store.Sender{look(1, waits, "a"), nil, look(1, waits, "a")}, never},
		"what it hears may not be seen":   {[]*store.Sender{look(1, waits, ""), look(1, waits, ""), look(1, waits, "")}, never},
		"none at all":                     {[]*store.Sender{nil, nil, nil}, never},
		"the first look":                  {[]*store.Sender{look(1, waits, "a")}, never},
		"the second, had it not listened": {[]*store.Sender{look(1, decodes, "a"), look(1, waits, "a")}, never},
	} {
		t.Run(name, func(t *testing.T) {
			var w senderWatch
			now, got := time.Now(), time.Duration(-1)
			for _, s := range c.looks {
				got = w.unheard(now, s)
				now = now.Add(time.Second)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Of its own replies a relay knows by its own clock how old they are; it need not wait for them to grow old.
func TestSenderWatchOfOnesOwn(t *testing.T) {
	now := time.Now()
	seen := &store.Sender{PID: 1, Listens: true, Reply: "a", RepliedAt: now.Add(-4 * time.Second)}
	w := senderWatch{own: true}
	require.Zero(t, w.unheard(now, seen), "it may be on its way")
	require.Equal(t, 5*time.Second, w.unheard(now.Add(time.Second), seen))
	ahead := &store.Sender{PID: 1, Listens: true, Reply: "b", RepliedAt: now.Add(time.Hour)} // The clock was set back.
	require.Equal(t, time.Duration(0), w.unheard(now.Add(2*time.Second), ahead))
	require.Equal(t, time.Second, w.unheard(now.Add(3*time.Second), ahead))
}

// Where nobody could look for a while, the leader may have been cut off as well, and be well.
func TestSenderWatchStartsAnewAfterAGap(t *testing.T) {
	var w senderWatch
	now, seen := time.Now(), &store.Sender{PID: 1, Listens: true, Reply: "a"}
	for range 3 {
		now = now.Add(standbyEvery)
		w.unheard(now, seen)
	}
	require.Equal(t, 2*standbyEvery, w.unheard(now, seen))
	now = now.Add(lookAtLeast + 1)
	require.Zero(t, w.unheard(now, seen))
	now = now.Add(standbyEvery)
	require.Equal(t, standbyEvery, w.unheard(now, seen))
}

// Whoever does not hear a relay must not take one that is well for vanished, however slow its database is.
func TestALeaderIsHeardWhateverItDoes(t *testing.T) {
	require.Greater(t, vanishedLeader, 2*statusEvery+stillFor)
	require.Greater(t, unheardAfter, 2*statusEvery)
	require.Greater(t, lookAtLeast, standbyEvery+standbyEvery/4+statusEvery, "of whoever stands by")
	require.Less(t, suspectAfter+unheardAfter+3*lookEvery, 10*time.Second, "what is promised, the rest included")
}
