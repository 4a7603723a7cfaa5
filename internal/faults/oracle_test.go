package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// case1 is a small run in which all went well: three events, one of them rolled back; a retry; the journals are files, as
// those of a campaign are.
type case1 struct {
	written, received []string
	log               map[int]*logged
	table             []int
	reachable         bool
	replaced          bool
}

func id(n int) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(n)}) }

func line(words ...string) string { return strings.Join(words, " ") }

func good() *case1 {
	return &case1{
		written: []string{
			line("intent", id(1).String(), "order.paid", "h1"),
			line("intent", id(2).String(), "order.paid", "h2"),
			line("intent", id(3).String(), "order.paid", "h3"),
			line("intent", id(4).String(), "user.created", "h4"),
			line("committed", id(1).String()), line("unknown", id(2).String()), line("rolledback", id(3).String()),
			line("committed", id(4).String()), line("found", id(2).String()),
		},
		received: []string{
			line("1", id(1).String(), "h1", "signed", "200"),
			line("2", id(2).String(), "h2", "signed", "cut"),
			line("3", id(2).String(), "h2", "signed", "200"),
		},
		log: map[int]*logged{
			1: {status: "accepted", attempts: 1, rows: 1, lowest: 1, highest: 1, accepted: 1, lastOK: true, reached: 1},
			2: {status: "accepted", attempts: 2, rows: 2, lowest: 1, highest: 2, accepted: 1, lastOK: true, reached: 2},
		},
		table: []int{1, 2, 4}, reachable: true,
	}
}

func (c *case1) judge(t *testing.T) *verdict {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, lines []string) string {
		path := filepath.Join(dir, name)
		j, err := newJournal(path)
		require.NoError(t, err)
		j.write(lines...)
		require.NoError(t, j.close())
		return path
	}
	e := &evidence{inTable: map[uuid.UUID]struct{}{}, inApp: map[uuid.UUID]struct{}{}, replaced: c.replaced}
	var err error
	e.events, err = readWritten(write("written.journal", c.written))
	require.NoError(t, err)
	for _, n := range c.table {
		e.inTable[id(n)], e.inApp[id(n)] = struct{}{}, struct{}{}
	}
	w := &watched{name: "r", patterns: []string{"order.*"}, reachable: c.reachable, log: map[uuid.UUID]*logged{}}
	w.arrived, err = readArrived(write("received.journal", c.received))
	require.NoError(t, err)
	for n, l := range c.log {
		w.log[id(n)] = l
	}
	e.receivers = []*watched{w}
	return judge(e)
}

func TestTheOracleFindsNothingWhereNothingIs(t *testing.T) {
	require.Equal(t, &verdict{Events: 3}, good().judge(t))
}

func TestTheOracleFinds(t *testing.T) {
	type counts struct{ lost, phantom, corrupt, twice int }
	for name, tc := range map[string]struct {
		doctor func(*case1)
		want   counts
		fault  string
	}{
		"a lost event": {func(c *case1) { c.received = c.received[1:] }, counts{lost: 1}, "never came"},
		"a lost event whose COMMIT was not answered": {func(c *case1) { c.received = c.received[:1]; delete(c.log, 2) },
			counts{lost: 1}, "has no delivery"},
		"an event that was rolled back": {func(c *case1) { c.received = append(c.received, line("4", id(3).String(), "h3", "signed", "200")) },
			counts{phantom: 1, twice: 0}, "was not committed"},
		"an event that nobody wrote": {func(c *case1) { c.received = append(c.received, line("4", id(9).String(), "h9", "signed", "200")) },
			counts{phantom: 1}, "was not committed"},
		"an event of a type not subscribed to": {func(c *case1) { c.received = append(c.received, line("4", id(4).String(), "h4", "signed", "200")) },
			counts{phantom: 1}, "was not committed for it"},
		"a delivery in the log of what was rolled back": {func(c *case1) { c.log[3] = &logged{status: "cancelled"} }, counts{phantom: 1}, "log has a delivery"},
		"another payload": {func(c *case1) { c.received[0] = line("1", id(1).String(), "h2", "signed", "200") }, counts{corrupt: 1}, "another payload"},
		"another payload the second time": {func(c *case1) { c.received[2] = line("3", id(2).String(), "h1", "signed", "200") },
			counts{corrupt: 1}, "another payload"},
		"a wrong signature":                  {func(c *case1) { c.received[0] = line("1", id(1).String(), "h1", "forged", "200") }, counts{corrupt: 1}, "signature"},
		"a request that no attempt tells of": {func(c *case1) { c.received = append(c.received, c.received[0]) }, counts{twice: 1}, ""},
		"a delivery without a row":           {func(c *case1) { delete(c.log, 1) }, counts{twice: 1}, "has no delivery"},
		"a number left out among attempts":   {func(c *case1) { c.log[2].highest = 3 }, counts{}, "numbered 1 to 3"},
		"an attempt that is missing":         {func(c *case1) { c.log[2].rows, c.log[2].reached = 1, 1 }, counts{twice: 1}, "2 attempts by its row, 1"},
		"accepted, and nobody answered":      {func(c *case1) { c.received[0] = line("1", id(1).String(), "h1", "signed", "cut") }, counts{}, "never answered 200"},
		"accepted twice":                     {func(c *case1) { c.log[2].accepted = 2 }, counts{}, "2 attempts were accepted"},
		"an attempt after it was accepted":   {func(c *case1) { c.log[2].lastOK = false }, counts{}, "the last one: false"},
		"unfinished for ever":                {func(c *case1) { c.log[1].status = "pending" }, counts{}, "status pending, due false"},
		"not done": {func(c *case1) { c.log[1].due, c.log[1].status, c.log[1].accepted = true, "retrying", 0 }, counts{},
			"is retrying"},
		"a commit that the database lost":   {func(c *case1) { c.table = []int{1, 2} }, counts{}, "is not in the table"},
		"a row that was not committed":      {func(c *case1) { c.table = []int{1, 2, 3, 4} }, counts{}, "was not committed"},
		"unaccounted for where unreachable": {func(c *case1) { c.reachable, c.received = false, nil; delete(c.log, 1) }, counts{lost: 2}, "has no delivery"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			tc.doctor(c)
			v := c.judge(t)
			require.Equal(t, tc.want, counts{v.Lost, v.Phantom, v.Corrupt, v.Twice}, "%v", v.Faults)
			if tc.fault == "" {
				require.Empty(t, v.Faults)
			} else {
				require.Contains(t, strings.Join(v.Faults, "\n"), tc.fault)
			}
			r := &result{verdict: *v}
			require.False(t, r.passed())
			require.Equal(t, "FAIL", r.word())
		})
	}
}

// What a receiver that can't be reached has not got is accounted for by the log.
func TestTheOracleAccountsForTheUnreachable(t *testing.T) {
	c := good()
	c.reachable, c.received = false, nil
	c.log[1] = &logged{status: "failed", attempts: 16, rows: 16, lowest: 1, highest: 16}
	c.log[2] = &logged{status: "retrying", due: true, attempts: 1, rows: 1, lowest: 1, highest: 1}
	require.Equal(t, &verdict{Events: 3}, c.judge(t))
}

// After a fail-over the new primary's table says what was committed: what only the old one had is not missed.
func TestTheOracleAfterAFailover(t *testing.T) {
	c := good()
	c.replaced, c.table = true, []int{1, 4}
	delete(c.log, 2)
	v := c.judge(t)
	require.Equal(t, 2, v.Events)
	require.Equal(t, counts4{0, 0, 0}, counts4{v.Lost, v.Phantom, v.Corrupt})
	require.Equal(t, 1, v.Orphans, "delivered, and gone with the old primary")
	require.Empty(t, v.Faults)
}

type counts4 struct{ lost, phantom, corrupt int }

func TestTwiceWithinTheBoundPasses(t *testing.T) {
	c := good()
	c.received = append(c.received, c.received[0])
	r := &result{verdict: *c.judge(t), Bound: 1}
	require.True(t, r.passed())
	r.Bound = 0
	require.False(t, r.passed())
}

// look is what receivers saw and the log told at a kill, or while the relay lived.
type look struct {
	killed bool
	saw    []sent // Of so many events, counted from 1.
	told   []int
}

// judgeLooks takes the looks of a run with two subscriptions as a campaign does.
func judgeLooks(looks []look) *result {
	r, u, rec := &result{}, make(untold), &receiver{}
	for _, l := range looks {
		for i := range l.saw {
			l.saw[i].event = id(i + 1)
		}
		if !l.killed {
			r.outlive(u.surplus(rec, l.saw, l.told, true))
			continue
		}
		n, hung := u.left(rec, l.saw, l.told)
		r.Bound += n
		r.leave(n-hung, 2)
	}
	return r
}

func TestTheBoundIsJudged(t *testing.T) {
	const most = mostInFlight + 2*guaranteed
	for name, tc := range map[string]struct {
		looks   []look
		bound   int
		problem string
	}{
		"all is recorded":                               {[]look{{false, []sent{{came: 1, ended: 1}, {came: 2, ended: 2}}, []int{1, 2}}}, 0, ""},
		"in flight while the relay lives":               {[]look{{false, []sent{{came: 2, ended: 1}}, []int{1}}}, 0, ""},
		"ended, and not recorded while the relay lives": {[]look{{false, []sent{{came: 2, ended: 2}}, []int{1}}}, 0, "1 requests had ended"},
		"sent twice, and one still in flight":           {[]look{{false, []sent{{came: 3, ended: 2}}, []int{1}}}, 0, "1 requests had ended"},
		"in flight at a kill":                           {[]look{{true, []sent{{came: 1, ended: 1}}, []int{0}}}, 1, ""},
		"made again after a kill": {[]look{{true, []sent{{came: 1, ended: 1}}, []int{0}}, {false, []sent{{came: 2, ended: 2}}, []int{1}},
			{true, []sent{{came: 2, ended: 2}}, []int{1}}}, 1, ""},
		"made again after a kill, twice": {[]look{{true, []sent{{came: 1, ended: 1}}, []int{0}}, {false, []sent{{came: 3, ended: 3}}, []int{1}}},
			1, "1 requests had ended"},
		"found once, and not excused by the next kill": {[]look{{false, []sent{{came: 2, ended: 2}}, []int{1}}, {true, []sent{{came: 2, ended: 2}}, []int{1}},
			{false, []sent{{came: 2, ended: 2}}, []int{1}}}, 0, "1 requests had ended"},
		"as many as may be in flight at a kill": {[]look{{true, []sent{{came: most}}, []int{0}}}, most, ""},
		"more than may be in flight at a kill":  {[]look{{true, []sent{{came: most}, {came: 1}}, []int{0, 0}}}, most + 1, "unrecorded at once"},
		"as many at each of two kills": {[]look{{true, []sent{{came: most}}, []int{0}}, {true, []sent{{came: 2*most + 1}}, []int{1}}},
			2 * most, ""},
		"more than that, which hang":             {[]look{{true, []sent{{came: most}, {came: 1, hung: 1}}, []int{0, 0}}}, most + 1, ""},
		"more than that, beside those that hung": {[]look{{true, []sent{{came: most + 1}, {came: 1, hung: 1}}, []int{0, 1}}}, most + 1, "unrecorded at once"},
	} {
		t.Run(name, func(t *testing.T) {
			r := judgeLooks(tc.looks)
			require.Equal(t, tc.bound, r.Bound)
			require.Equal(t, tc.problem == "", r.passed())
			if tc.problem == "" {
				return
			}
			require.Len(t, r.Problems, 1)
			require.Contains(t, r.Problems[0], tc.problem)
		})
	}
}

func TestAReceiverTellsWhatHasEnded(t *testing.T) {
	r := &receiver{seen: map[uuid.UUID]int{id(1): 2, id(2): 1}, flying: map[uuid.UUID]int{id(1): 2, id(2): 1}, recent: map[uuid.UUID]int{id(1): 0}}
	r.leave(id(1), "order.paid", time.Now())
	require.Equal(t, []sent{{event: id(1), came: 2, ended: 1}}, r.lately(false))
	r.leave(id(1), "order.paid", time.Now().Add(-2*hangsAfter))
	require.Equal(t, []sent{{event: id(1), came: 2, ended: 2, hung: 1}}, r.lately(true))
	require.Empty(t, r.lately(false))
	r.leave(id(2), "old.thing", time.Now().Add(-2*hangsAfter)) // Nobody can say whether the log told of it.
	require.Empty(t, r.lately(false))
	require.Empty(t, r.flying)
}

func TestAJournalThatMakesNoSense(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	for _, text := range []string{"committed", "committed nothing", "committed " + id(1).String()} {
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		_, err := readWritten(path)
		require.ErrorContains(t, err, "line 1", text)
	}
	for _, text := range []string{"1 2 3", "x " + id(1).String() + " h signed 200", "1 x h signed 200"} {
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		_, err := readArrived(path)
		require.ErrorContains(t, err, "line 1", text)
	}
}

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		patterns []string
		typ      string
		want     bool
	}{
		{[]string{"*"}, "a.b", true}, {[]string{"order.*"}, "order.paid", true}, {[]string{"order.*"}, "order", false},
		{[]string{"order.*"}, "orders.paid", false}, {[]string{"a", "b"}, "b", true}, {[]string{"a"}, "a.b", false}, {nil, "a", false},
	} {
		require.Equal(t, tc.want, matches(tc.patterns, tc.typ), "%v %s", tc.patterns, tc.typ)
	}
}
