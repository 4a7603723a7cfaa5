package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
)

func TestYielding(t *testing.T) {
	const hour = time.Hour
	began := time.Now()
	at := began.Add
	broken, ended := &store.State{}, &store.State{Read: 1}
	old, young := &store.Slot{ServerUp: hour}, &store.Slot{ServerUp: freshFor - 1}

	for name, c := range map[string]struct {
		before func(y *yielding)
		slot   *store.Slot
		state  *store.State
		want   bool
	}{
		"the database was restarted":          {(*yielding).taken, young, broken, true},
		"the database was away":               {func(y *yielding) { y.taken(); y.lost(at(-freshFor + 1)) }, old, broken, true},
		"the database was away long ago":      {func(y *yielding) { y.taken(); y.lost(at(-freshFor)) }, old, broken, false},
		"its clock was set back":              {(*yielding).taken, &store.Slot{ServerUp: -hour}, broken, true},
		"the leader alone is gone":            {(*yielding).taken, old, broken, false},
		"the leader ended in order":           {(*yielding).taken, young, ended, false},
		"this relay has just been started":    {func(y *yielding) { y.lost(began) }, young, broken, false},
		"this relay led":                      {func(y *yielding) { y.taken(); y.took(); y.lost(began) }, young, broken, false},
		"this relay led before another":       {func(y *yielding) { y.took(); y.taken() }, young, broken, true},
		"there is no slot":                    {(*yielding).taken, nil, broken, false},
		"nothing is known of the slot's past": {(*yielding).taken, young, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			var y yielding
			c.before(&y)
			require.Equal(t, c.want, y.yields(began, c.slot, c.state))
			require.False(t, y.yields(at(yieldFor), c.slot, c.state), "for ever")
		})
	}

	var y yielding
	y.taken()
	require.True(t, y.yields(began, young, broken))
	y.lost(at(yieldFor - 1))
	require.True(t, y.yields(at(yieldFor), young, broken), "it went away once more: the time begins anew")
	y.taken()
	require.True(t, y.yields(at(2*yieldFor), young, broken), "the other led in between")
}
