package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// written is what a journal says of one event.
type written struct {
	typ       string
	hash      string
	committed bool
	orphaned  bool // It may have been committed on a primary whose place another has taken, which does not have it.
	unknown   bool // COMMIT's answer was lost.
}

// arrivals are the requests that one receiver got for one event.
type arrivals struct {
	requests int
	answered int      // With 200.
	hashes   []string // Each other one than the first is here too.
	forged   int
}

// logged is what the database's log says of one delivery.
type logged struct {
	status   string
	attempts int // By the delivery's own row.
	due      bool

	rows     int // Of outbox.attempts.
	lowest   int // The attempts' numbers.
	highest  int
	accepted int // Attempts that were answered 200.
	lastOK   bool
	reached  int // Attempts of which the receiver may know.
}

// watched is a receiver as the oracle sees it.
type watched struct {
	name      string
	patterns  []string
	reachable bool // All that it should get must have come by now.
	optional  bool // It is not known what it should get.
	arrived   map[uuid.UUID]*arrivals
	log       map[uuid.UUID]*logged
}

// evidence is all that the verdict is taken from: what the writer's journal says, the receivers' journals, and the
// database's log.
type evidence struct {
	events    map[uuid.UUID]*written
	receivers []*watched
	inTable   map[uuid.UUID]struct{} // Events that the table holds now.
	inApp     map[uuid.UUID]struct{} // Those that the host app's own table holds.
	replaced  bool                   // Another server took the primary's place: what it has is what was committed.
}

// verdict is what a campaign came to. Lost, Phantom and Corrupt must be 0; Twice must not exceed what the campaign allows.
type verdict struct {
	Events  int `json:"events"`  // Committed.
	Lost    int `json:"lost"`    // Committed and not received, or, by a receiver that could not be reached, not accounted for.
	Phantom int `json:"phantom"` // Received, or in the log, and not committed.
	Corrupt int `json:"corrupt"` // Requests with another payload than was written, or a wrong signature.
	Twice   int `json:"twice"`   // Requests of which no attempt in the log tells.
	Orphans int `json:"orphans"` // After a fail-over: received, and committed by the old primary alone.

	Faults []string `json:"faults,omitempty"` // Where the database's log contradicts itself or the journals; examples of the above.
}

// mostFaults bounds the examples of a verdict.
const mostFaults = 20

func (v *verdict) fault(format string, args ...any) {
	if len(v.Faults) < mostFaults {
		v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
	}
}

// expiring says whether events of this type are older than the retention: they must arrive, and leave the database then.
func expiring(typ string) bool { return strings.HasPrefix(typ, "old.") }

// judge compares journals and log.
func judge(e *evidence) *verdict {
	v := &verdict{}
	for id, w := range e.events {
		if _, there := e.inTable[id]; e.replaced {
			w.orphaned = !there && (w.committed || w.unknown)
			w.committed = there
		} else if w.committed && !there && !expiring(w.typ) {
			v.fault("event %s was committed and is not in the table", id)
		}
		if w.committed {
			v.Events++
		}
	}
	for id := range e.inTable {
		if w := e.events[id]; w == nil || !w.committed {
			v.fault("event %s is in the table and was not committed", id)
		}
		if _, there := e.inApp[id]; !there {
			v.fault("event %s was committed without the host app's row", id)
		}
	}
	for _, r := range e.receivers {
		v.judgeArrivals(e, r)
		v.judgeLog(e, r)
	}
	return v
}

// judgeArrivals compares what a receiver got with what was written.
func (v *verdict) judgeArrivals(e *evidence, r *watched) {
	for id, w := range e.events {
		if !w.committed || !matches(r.patterns, w.typ) || r.optional {
			continue
		}
		l := r.log[id]
		accounted := l != nil && (l.due || l.status == "failed")
		if got := r.arrived[id]; got == nil && (r.reachable || !accounted) {
			v.Lost++
			v.fault("lost: %s was committed and never came to %s", id, r.name)
		}
	}
	for id, got := range r.arrived {
		w := e.events[id]
		if w != nil && w.orphaned && matches(r.patterns, w.typ) {
			v.Orphans++
			continue
		}
		if w == nil || !w.committed || !matches(r.patterns, w.typ) {
			v.Phantom++
			v.fault("phantom: %s came to %s and was not committed for it", id, r.name)
			continue
		}
		wrong := got.forged
		for _, hash := range got.hashes {
			if hash != w.hash {
				wrong++
			}
		}
		if wrong > 0 {
			v.Corrupt += wrong
			v.fault("corrupt: %s came to %s with another payload or a wrong signature", id, r.name)
		}
		known := 0
		if l := r.log[id]; l != nil {
			known = l.reached
		} else if expiring(w.typ) {
			known = got.requests // The retention has removed what would tell.
		}
		if more := got.requests - known; more > 0 {
			v.Twice += more
		}
	}
}

// judgeLog holds the database's log against itself and against what a receiver got.
func (v *verdict) judgeLog(e *evidence, r *watched) {
	for id, w := range e.events {
		if w.committed && matches(r.patterns, w.typ) && r.log[id] == nil && !r.optional && !expiring(w.typ) {
			v.fault("log: %s has no delivery to %s", id, r.name)
		}
	}
	for id, l := range r.log {
		if w := e.events[id]; w == nil || !w.committed {
			v.Phantom++
			v.fault("phantom: the log has a delivery of %s, which was not committed", id)
		}
		if err := l.check(r.arrived[id]); err != nil {
			v.fault("log: delivery of %s to %s: %v", id, r.name, err)
		}
		if r.reachable && l.status != "accepted" && !r.optional {
			v.fault("log: delivery of %s to %s is %s", id, r.name, l.status)
		}
	}
}

// check says what does not hold together in the log of one delivery.
func (l *logged) check(got *arrivals) error {
	switch {
	case l.due != (l.status == "pending" || l.status == "retrying"):
		return fmt.Errorf("status %s, due %v", l.status, l.due)
	case l.rows != l.attempts:
		return fmt.Errorf("%d attempts by its row, %d are in the log", l.attempts, l.rows)
	case l.rows > 0 && (l.lowest != 1 || l.highest != l.rows):
		return fmt.Errorf("%d attempts, numbered %d to %d", l.rows, l.lowest, l.highest)
	case l.accepted > 1:
		return fmt.Errorf("%d attempts were accepted", l.accepted)
	case (l.status == "accepted") != (l.accepted == 1 && l.lastOK):
		return fmt.Errorf("status %s, attempts accepted: %d, the last one: %v", l.status, l.accepted, l.lastOK)
	case l.accepted > 0 && (got == nil || got.answered == 0):
		return errors.New("accepted, and the receiver never answered 200")
	}
	return nil
}

// matches says whether a subscription to these patterns gets events of a type.
func matches(patterns []string, typ string) bool {
	for _, p := range patterns {
		under, isUnder := strings.CutSuffix(p, "*")
		if p == typ || p == "*" || isUnder && strings.HasPrefix(typ, under) {
			return true
		}
	}
	return false
}

// readWritten reads a writer's journal. What it never decided was not committed: resolve has asked.
func readWritten(path string) (map[uuid.UUID]*written, error) {
	events := make(map[uuid.UUID]*written)
	err := readJournal(path, func(fields []string) error {
		if len(fields) < 2 {
			return errors.New("too short")
		}
		id, err := uuid.Parse(fields[1])
		if err != nil {
			return err
		}
		switch w := events[id]; {
		case fields[0] == wordIntent && len(fields) == 4:
			events[id] = &written{typ: fields[2], hash: fields[3]}
		case w == nil:
			return errors.New("of an event that was not meant to be written")
		default:
			w.committed = fields[0] == wordCommitted || fields[0] == wordFound
			w.unknown = w.unknown || fields[0] == wordUnknown
		}
		return nil
	})
	return events, err
}

// readArrived reads a receiver's journal.
func readArrived(path string) (map[uuid.UUID]*arrivals, error) {
	arrived := make(map[uuid.UUID]*arrivals)
	err := readJournal(path, func(fields []string) error {
		if len(fields) != 5 {
			return errors.New("not of five fields")
		}
		if _, err := strconv.ParseInt(fields[0], 10, 64); err != nil {
			return err
		}
		id, err := uuid.Parse(fields[1])
		if err != nil {
			return err
		}
		a := arrived[id]
		if a == nil {
			a = &arrivals{}
			arrived[id] = a
		}
		a.requests++
		if len(a.hashes) == 0 || a.hashes[0] != fields[2] {
			a.hashes = append(a.hashes, fields[2])
		}
		if fields[3] != "signed" {
			a.forged++
		}
		if fields[4] == didAnswer {
			a.answered++
		}
		return nil
	})
	return arrived, err
}
