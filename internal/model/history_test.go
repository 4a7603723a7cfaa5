package model

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// position is a place in the order of commits: each statement that took effect has one of its own.
type position int

// moment counts the steps of a sequence. What happens outside the database, to receivers and to the relay, is told by it.
type moment int

// version is a subscription as one change left it.
type version struct {
	at         position
	exists     bool
	active     bool
	tenant     string
	eventTypes []string
	receiver   int
	secret     string
	createdAt  time.Time
	number     int // In the path of its URL.
}

// on says whether it receives anything at all.
func (v version) on() bool { return v.exists && v.active }

// wants says whether an event of this tenant and type goes to a subscription that is so.
func (v version) wants(e *event) bool {
	if !v.on() || v.tenant != e.tenant {
		return false
	}
	return slices.ContainsFunc(v.eventTypes, func(pattern string) bool {
		under, ok := strings.CutSuffix(pattern, "*")
		return pattern == e.eventType || ok && strings.HasPrefix(e.eventType, under)
	})
}

// subscription is one id, with all that it ever was, in commit order.
type subscription struct {
	id      string
	history []version
}

// before returns what it was right before a position, or at the end for a position that is far away.
func (s *subscription) before(at position) version {
	n, _ := slices.BinarySearchFunc(s.history, at, func(v version, at position) int { return int(v.at - at) })
	if n == 0 {
		return version{}
	}
	return s.history[n-1]
}

// offBetween says whether it was switched off or removed at or after one position and before another.
func (s *subscription) offBetween(from, to position) bool {
	return slices.ContainsFunc(s.history, func(v version) bool {
		return v.at >= from && v.at < to && !v.on()
	})
}

// event is one that was committed.
type event struct {
	id        string
	eventType string
	tenant    string
	payload   string
	createdAt time.Time
	at        position
	committed moment
	unseen    bool // No relay ran since it was committed.
	lost      bool // Nor before the position in the stream was lost.
}

// loss is a time in which the position in the stream was lost, so that the outbox was scanned, once at least: after the
// last loss. Where exactly, nobody knows from outside.
type loss struct {
	first, last position // When it was lost, first and for the last time.
	made        position // Where the scan had surely been made; far while that is not known.
	settled     position // Before it, all had been delivered before the first loss.
}

const far position = 1 << 40

// settlement is a moment at which all that was committed had been delivered, and nothing waited.
type settlement struct {
	at   position
	when moment
}

// due says what may and what must become of an event at a subscription.
type due struct {
	may, must bool
	streamed  bool // It must, by the order of commits.
	unsent    bool // It must be cancelled without an attempt: it was switched off before any relay saw the event.
}

// history is all that was committed, in order, and what is known of the times in between.
type history struct {
	now           position
	events        []*event
	subscriptions map[string]*subscription
	losses        []*loss
	settlements   []settlement
	unsent        map[pair]bool
}

// pair is a delivery: an event and a subscription, by their ids.
type pair struct{ event, subscription string }

func newHistory() *history {
	return &history{
		subscriptions: make(map[string]*subscription), unsent: make(map[pair]bool),
		losses: []*loss{{made: far}}, // There is no slot at first.
	}
}

// open returns the loss after which no scan is known of, or nil.
func (h *history) open() *loss {
	if last := h.losses[len(h.losses)-1]; last.made == far {
		return last
	}
	return nil
}

// lose notes that the position in the stream is lost.
func (h *history) lose() {
	for _, e := range h.events {
		e.lost = e.lost || e.unseen
	}
	if l := h.open(); l != nil {
		l.last = h.now + 1
		return
	}
	settled := position(0)
	if n := len(h.settlements); n > 0 {
		settled = h.settlements[n-1].at
	}
	h.losses = append(h.losses, &loss{first: h.now + 1, last: h.now + 1, made: far, settled: settled})
}

// relays notes that a relay is known to read the stream: scans are made.
func (h *history) relays() {
	if l := h.open(); l != nil {
		l.made = h.now + 1
	}
}

// settle notes that all is delivered.
func (h *history) settle(when moment) {
	h.settlements = append(h.settlements, settlement{at: h.now + 1, when: when})
}

// change commits a change of a subscription.
func (h *history) change(id string, v version) {
	h.now++
	v.at = h.now
	s := h.subscriptions[id]
	if s == nil {
		s = &subscription{id: id}
		h.subscriptions[id] = s
	}
	if !v.on() {
		for _, e := range h.events {
			if e.unseen && s.before(e.at).wants(e) {
				h.unsent[pair{e.id, id}] = true
			}
		}
	}
	s.history = append(s.history, v)
}

// insert commits an event.
func (h *history) insert(e *event, when moment, relayRuns bool) {
	h.now++
	e.at, e.committed, e.unseen = h.now, when, !relayRuns
	h.events = append(h.events, e)
}

// seen notes that a relay runs, and may have seen everything.
func (h *history) seen() {
	for _, e := range h.events {
		e.unseen = false
	}
}

// scanned says whether a scan of a loss may, and whether it must, have found an event due.
func (h *history) scanned(e *event, s *subscription, l *loss) (may, must bool) {
	at := func(p position) bool {
		v := s.before(p)
		return v.wants(e) && !v.createdAt.After(e.createdAt)
	}
	to := min(l.made, h.now+1)
	must = true
	for p := max(e.at+1, l.first); p <= to; p++ {
		found := at(p)
		may = may || found
		if p >= l.last {
			must = must && found
		}
	}
	return may, must
}

// due says whether an event goes to a subscription: by the order of commits and, where the position was lost, by when both
// were made.
func (h *history) due(e *event, s *subscription) due {
	inOrder := s.before(e.at).wants(e)
	d := due{may: inOrder && !e.lost, must: inOrder, streamed: inOrder}
	scanned := false
	for _, l := range h.losses {
		if e.at >= l.made {
			continue // Committed after it.
		}
		may, must := h.scanned(e, s, l)
		d.may = d.may || may
		scanned = scanned || must && e.at < l.last
		if e.at >= l.settled { // Nobody knows whether the stream brought it: before the loss, or after the scan.
			d.streamed = false
			d.must = inOrder && must && e.at >= l.last
		}
	}
	d.must = d.must || scanned
	d.unsent = d.streamed && h.unsent[pair{e.id, s.id}]
	return d
}

// settledAfter returns the first settlement after an event, if there was one.
func (h *history) settledAfter(e *event) (settlement, bool) {
	for _, s := range h.settlements {
		if s.at > e.at {
			return s, true
		}
	}
	return settlement{at: h.now + 1}, false
}

// ids are those of all subscriptions, in a fixed order.
func (h *history) ids() []string { return slices.Sorted(maps.Keys(h.subscriptions)) }
