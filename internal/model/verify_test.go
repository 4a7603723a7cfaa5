package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outboxrelay/relay/internal/receiver"
)

// watcher is a subscription that nobody changes, in a tenant of its own, to a receiver that is always well: once its last
// event has arrived, the stream has been read up to there.
const watcher = "watcher"

// awaitSettled waits until all that was committed is delivered and nothing waits. No transaction may be open.
func (s *sequence) awaitSettled() {
	for i := range receivers {
		if s.w.stage.is(i, hangs) {
			s.setMode(i, answers200) // Else it takes too long.
		}
	}
	if s.watcherID == "" || !s.subscriptions[s.watcherID].before(far).exists {
		s.watcherID = newID()
		s.alter(0, s.watcherID, "add", version{exists: true, active: true, tenant: watcher, eventTypes: []string{"*"}, receiver: receivers})
	}
	s.emit(0, 1, "watch", watcher, "1")
	s.end(0, true)
	end := s.walEnd()
	var wanted []pair
	for _, e := range s.events {
		for _, id := range s.ids() {
			if s.due(e, s.subscriptions[id]).must {
				wanted = append(wanted, pair{e.id, id})
			}
		}
	}
	began := time.Now()
	enough := time.Second
	if s.open() != nil {
		enough = 10 * time.Second // The relay may have to find out first that it lost its place.
	}
	s.await("everything is delivered and recorded", func() bool {
		missing, waiting := s.missing(wanted)
		if waiting > 0 {
			return false
		}
		if len(missing) > 0 && time.Since(began) > enough && s.confirmed(end) {
			if missing, waiting = s.missing(wanted); waiting == 0 && len(missing) > 0 {
				s.fail("lost: %s; the slot has passed them and nothing waits", s.describe(missing[0]))
			}
		}
		return len(missing) == 0
	})
	if s.scanned() {
		s.relays()
	}
	s.settle(s.when)
	s.note("settled")
}

// scanned says whether the relay has noticed what was last lost. A publication made anew under its hands it may go on
// reading for a while.
func (s *sequence) scanned() bool {
	type state struct{ Noticed bool }
	rows := query[state](s, s.session(&s.w.admin), `SELECT r.publication_oid = p.oid FROM outbox.relay_state AS r
		JOIN pg_publication AS p ON p.pubname = r.slot JOIN pg_replication_slots AS l ON l.slot_name = r.slot AND l.active
		WHERE r.slot = $1`, slotName)
	return len(rows) == 1 && rows[0].Noticed
}

func (s *sequence) walEnd() string {
	type lsn struct{ LSN string }
	return query[lsn](s, s.session(&s.w.admin), `SELECT pg_current_wal_lsn()::text`)[0].LSN
}

// confirmed says whether the slot has passed a position.
func (s *sequence) confirmed(lsn string) bool {
	type slot struct{ Passed bool }
	rows := query[slot](s, s.session(&s.w.admin), `SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots
		WHERE slot_name = $1 AND confirmed_flush_lsn IS NOT NULL AND active`, slotName, lsn)
	return len(rows) == 1 && rows[0].Passed
}

// missing returns the deliveries that are not there yet, and how many are there and wait.
func (s *sequence) missing(wanted []pair) (missing []pair, waiting int) {
	type row struct {
		Event, Subscription string
		Due                 bool
	}
	there := make(map[pair]bool)
	for _, r := range query[row](s, s.session(&s.w.admin), `SELECT event_id::text, subscription_id::text, due_at IS NOT NULL
		FROM outbox.deliveries`) {
		there[pair{r.Event, r.Subscription}] = true
		if r.Due {
			waiting++
		}
	}
	for _, p := range wanted {
		if !there[p] {
			missing = append(missing, p)
		}
	}
	return missing, waiting
}

func (s *sequence) eventByID(id string) *event {
	n := slices.IndexFunc(s.events, func(e *event) bool { return e.id == id })
	if n < 0 {
		return nil
	}
	return s.events[n]
}

func (s *sequence) describe(p pair) string {
	e := s.eventByID(p.event)
	if e == nil || s.subscriptions[p.subscription] == nil {
		return fmt.Sprintf("event %s to subscription %s, one of which was never committed", p.event, p.subscription)
	}
	return fmt.Sprintf("event %s (%s of %s at %d) to subscription %s: %+v; losses %s", e.id, e.eventType, e.tenant, e.at,
		p.subscription, s.due(e, s.subscriptions[p.subscription]), s.describeLosses())
}

func (s *sequence) describeLosses() string {
	var all []string
	for _, l := range s.losses {
		all = append(all, fmt.Sprintf("%+v", *l))
	}
	return strings.Join(all, " ")
}

// delivery is a row of the log.
type delivery struct {
	ID, Event, Subscription string
	ReplayOf                *string
	Status                  string
	Attempts                int
	ResponseCode            *int
	ErrorClass              *string
	FinishedAt              *time.Time
	Derived                 bool // The id is what it must be.
}

// attempt is a row of outbox.attempts.
type attempt struct {
	Delivery     string
	Attempt      int
	ResponseCode *int
	ErrorClass   *string
}

// record is all that was seen of one pair.
type record struct {
	original   *delivery
	deliveries []delivery // With the replays.
	attempts   map[string][]attempt
	arrivals   []arrival
}

// verify compares what stands in the log and what arrived with what the model allows. No relay may run.
func (s *sequence) verify() {
	records := s.collect()
	met.events.Add(int64(len(s.events)))
	met.losses.Add(int64(len(s.losses) - 1))
	met.kills.Add(int64(len(s.kills)))
	for _, e := range s.events {
		for _, id := range s.ids() {
			p := pair{e.id, id}
			s.verifyPair(p, e, s.subscriptions[id], records[p])
			delete(records, p)
		}
	}
	for p := range records {
		s.fail("phantom: %s", s.describe(p))
	}
}

func (s *sequence) collect() map[pair]*record {
	records := make(map[pair]*record)
	at := func(p pair) *record {
		if records[p] == nil {
			records[p] = &record{attempts: make(map[string][]attempt)}
		}
		return records[p]
	}
	admin := s.session(&s.w.admin)
	pairs := make(map[string]pair)
	for _, d := range query[delivery](s, admin, `SELECT id::text, event_id::text, subscription_id::text, replay_of::text, status, attempts,
		response_code, error_class, finished_at, id = outbox.delivery_id(event_id, subscription_id) FROM outbox.deliveries ORDER BY id`) {
		p := pair{d.Event, d.Subscription}
		pairs[d.ID] = p
		r := at(p)
		r.deliveries = append(r.deliveries, d)
		if d.ReplayOf == nil {
			if r.original != nil {
				s.fail("two deliveries of the same: %s", s.describe(p))
			}
			r.original = &d
		}
	}
	for _, a := range query[attempt](s, admin, `SELECT delivery_id::text, attempt, response_code, error_class FROM outbox.attempts
		ORDER BY delivery_id, attempt`) {
		r := at(pairs[a.Delivery])
		r.attempts[a.Delivery] = append(r.attempts[a.Delivery], a)
	}
	for _, a := range s.w.stage.arrivals() {
		parts := strings.Split(a.path, "/")
		if len(parts) != 4 || parts[1] != strconv.Itoa(s.number) {
			s.fail("a request to %s", a.path)
		}
		r := at(pair{a.id, parts[2]})
		r.arrivals = append(r.arrivals, a)
	}
	return records
}

// met counts what the sequences that went well had in them: one that has nothing in it proves nothing.
var met struct{ events, deliveries, attempts, cancelled, unsent, kills, losses atomic.Int64 }

// bounds are what a delivery may have met: versions of its subscription, and times.
type bounds struct {
	from, to   position
	begin, end moment
}

func (s *sequence) verifyPair(p pair, e *event, sub *subscription, r *record) {
	d := s.due(e, sub)
	switch {
	case (r == nil || r.original == nil) && d.must:
		s.fail("lost: %s", s.describe(p))
	case r == nil:
		return
	case r.original == nil && len(r.arrivals) <= s.killsAfter(e.committed):
		return // Killed before it was recorded, and then the stream was lost.
	case r.original == nil:
		s.fail("sent and not recorded: %s", s.describe(p))
	case !d.may:
		s.fail("not due, but there, %s: %s", r.original.Status, s.describe(p))
	case !r.original.Derived:
		s.fail("another id: %s", s.describe(p))
	}
	first := bounds{from: e.at, to: s.now + 1, begin: e.committed, end: s.when}
	if settled, ok := s.settledAfter(e); ok && d.streamed {
		first.to, first.end = settled.at, settled.when
	}
	s.verifyStatus(p, sub, *r.original, r.attempts[r.original.ID], first, d.unsent)
	kills := s.killsAfter(e.committed)
	replayed := 0
	for _, row := range r.deliveries {
		if row.ReplayOf == nil {
			continue
		}
		n := slices.IndexFunc(s.replays, func(known replay) bool { return known.id == row.ID })
		if n < 0 {
			s.fail("a replay that nobody asked for: %s", s.describe(p))
		}
		replayed++
		again := s.replays[n]
		b := bounds{from: again.at, to: s.now + 1, begin: again.when, end: s.when}
		s.verifyStatus(p, sub, row, r.attempts[row.ID], b, false)
	}
	for _, known := range s.replays {
		if known.pair == p {
			replayed--
		}
	}
	if replayed != 0 {
		s.fail("a replay that is gone: %s", s.describe(p))
	}
	s.verifyArrivals(p, e, sub, r, kills)
}

func (s *sequence) killsAfter(when moment) int {
	n := 0
	for _, kill := range s.kills {
		if kill >= when {
			n++
		}
	}
	return n
}

// verifyStatus checks one delivery and its attempts by themselves.
func (s *sequence) verifyStatus(p pair, sub *subscription, d delivery, attempts []attempt, b bounds, unsent bool) {
	bad := func(format string, args ...any) {
		s.t.Helper()
		s.fail("%s: delivery %s, %s after %d attempts, %v to %v: %s", fmt.Sprintf(format, args...), d.ID, d.Status, d.Attempts, b.from, b.to,
			s.describe(p))
	}
	met.deliveries.Add(1)
	met.attempts.Add(int64(len(attempts)))
	if d.Status == "cancelled" {
		met.cancelled.Add(1)
	}
	if unsent {
		met.unsent.Add(1)
	}
	modes := s.met(sub, b)
	cancellable := sub.offBetween(b.from, b.to)
	if d.ReplayOf != nil && !sub.before(b.from).on() {
		cancellable = true
	}
	if d.Attempts != len(attempts) {
		bad("there are %d attempts", len(attempts))
	}
	for i, a := range attempts {
		last := i == len(attempts)-1
		switch {
		case a.Attempt != i+1:
			bad("attempt %d is missing", i+1)
		case (a.ResponseCode == nil) == (a.ErrorClass == nil):
			bad("attempt %d has both a code and an error, or none", a.Attempt)
		case a.ResponseCode != nil && (!last || d.Status != "accepted" && d.Status != "rejected"):
			bad("attempt %d was answered and not the last", a.Attempt)
		case a.ErrorClass != nil && !modes[down] && !modes[hangs]:
			bad("attempt %d: %s, but its URL was never down", a.Attempt, *a.ErrorClass)
		case a.ErrorClass != nil && *a.ErrorClass == "timeout" && !modes[hangs]:
			bad("attempt %d: timeout, but its URL did not hang", a.Attempt)
		}
	}
	code := 0
	if d.ResponseCode != nil {
		code = *d.ResponseCode
	}
	switch d.Status {
	case "accepted":
		if len(attempts) == 0 || code != 200 || *attempts[len(attempts)-1].ResponseCode != 200 {
			bad("accepted without a 200")
		}
	case "rejected":
		if len(attempts) == 0 || code != 500 || *attempts[len(attempts)-1].ResponseCode != 500 || !modes[answers500] {
			bad("rejected without a 500")
		}
	case "failed":
		if len(attempts) != retries+1 || code != 0 {
			bad("failed too early or too late")
		}
	case "cancelled":
		if !cancellable || len(attempts) > retries {
			bad("cancelled, but its subscription was on all the time")
		}
	default:
		bad("not finished")
	}
	if unsent && (d.Status != "cancelled" || d.Attempts > 0) {
		bad("sent after its subscription was switched off")
	}
	if d.FinishedAt == nil {
		bad("finished without a time")
	}
}

// met says in which ways the receivers of a subscription behaved while a delivery was under way.
func (s *sequence) met(sub *subscription, b bounds) map[mode]bool {
	modes := make(map[mode]bool)
	look := func(v version) {
		for m := range s.modesBetween(v.receiver, b.begin, b.end) {
			modes[m] = true
		}
	}
	look(sub.before(b.from))
	for _, v := range sub.history {
		if v.at >= b.from && v.at < b.to {
			look(v)
		}
	}
	return modes
}

// verifyArrivals checks what arrived against what is recorded.
func (s *sequence) verifyArrivals(p pair, e *event, sub *subscription, r *record, kills int) {
	bad := func(format string, args ...any) {
		s.t.Helper()
		s.fail("%s: %d arrivals, %d deliveries, %s: %s", fmt.Sprintf(format, args...), len(r.arrivals), len(r.deliveries),
			r.original.Status, s.describe(p))
	}
	body := fmt.Sprintf(`{"id":"%s","type":"%s","timestamp":"%s","data":%s}`, e.id, e.eventType,
		e.createdAt.UTC().Format("2006-01-02T15:04:05.000000Z"), e.payload)
	oldest := sub.before(e.at).number
	var done time.Time
	answers, errors := make(map[int]int), 0
	for _, d := range r.deliveries {
		if d.FinishedAt.After(done) {
			done = *d.FinishedAt
		}
		for _, a := range r.attempts[d.ID] {
			if a.ResponseCode != nil {
				answers[*a.ResponseCode]++
			} else if *a.ErrorClass != "connect" {
				errors++
			}
		}
	}
	arrived := make(map[int]int)
	for _, a := range r.arrivals {
		number, _ := strconv.Atoi(a.path[strings.LastIndexByte(a.path, '/')+1:])
		request := receiver.Request{Body: a.body, Header: a.header}
		switch err := request.Verify(s.secrets[a.path]); {
		case err != nil:
			bad("a signature that is not valid: %v", err)
		case string(a.body) != body:
			bad("other bytes: %.200q, want %.200q", a.body, body)
		case number < oldest:
			bad("sent to version %d, which was gone when the event was committed", number)
		case a.at.After(done):
			bad("sent at %v, after it was finished at %v", a.at, done)
		}
		arrived[a.answered]++
	}
	for code, n := range answers {
		if arrived[code] < n {
			bad("recorded %d answers %d, of which %d were given", n, code, arrived[code])
		}
	}
	if recorded := answers[200] + answers[500] + errors; len(r.arrivals) > recorded+kills {
		bad("sent too often: %d attempts are recorded, and the relay was killed %d times", recorded, kills)
	}
}
