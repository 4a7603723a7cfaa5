package model

import (
	"context"
	"math/rand/v2"
	"strings"

	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/postgres"
)

var (
	eventTypes = []string{"a", "a.b", "a.b.c", "ab", "b"}
	patterns   = [][]string{{"*"}, {"*", "a"}, {"a.*", "a", "*"}, {"a.*", "b", "a"}, {"a.*"}, {"a", "b"}, {"a.b", "a"}, {"a.b.*", "b"}}
	tenants    = []string{"default", "default", "default", "other"} // Most events are to go to somebody.
	payloads   = []string{`1`, "{\"b\": 1,  \"a\":\"\\u0000\", \"b\": 2}\n", `"` + strings.Repeat("é", 1500) + `"`, bulk()}
)

// bulk is a payload that does not fit into a page, however it is compressed.
func bulk() string {
	const size = 30_000
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteByte('"')
	for b.Len() < size {
		b.WriteByte(byte('a' + random.IntN(26)))
	}
	b.WriteByte('"')
	return b.String()
}

// actions are the steps of a sequence, some of them several times since they are to be taken more often.
func (s *sequence) actions() map[string]func(*rapid.T) {
	step := func(do func(*rapid.T)) func(*rapid.T) {
		return func(t *rapid.T) { s.step(t); do(t) }
	}
	return map[string]func(*rapid.T){
		"write":           step(s.write),
		"write again":     step(s.write),
		"write much":      step(s.write),
		"write one":       step(s.writeOne),
		"touch":           step(s.touch),
		"touch again":     step(s.touch),
		"while down":      step(s.whileDown),
		"while down too":  step(s.whileDown),
		"end":             step(s.endOpen),
		"receiver":        step(s.changeReceiver),
		"start":           step(s.start),
		"start again":     step(s.start),
		"stop":            step(s.stopOrKill),
		"lose":            step(s.loseSomething),
		"replay":          step(s.replaySomething),
		"settle":          step(s.settleNow),
		"restart":         step(s.restartPostgres),
		"truncate":        step(s.truncate),
		"end and settle":  step(s.endAndSettle),
		"receiver and go": step(s.changeReceiver),
	}
}

func skipUnless(t *rapid.T, possible bool) {
	if !possible {
		t.Skip("not possible in this state: rapid draws another action")
	}
}

// write adds statements to a transaction, and mostly ends it.
func (s *sequence) write(t *rapid.T) {
	n := rapid.IntRange(0, connections-1).Draw(t, "session")
	for range rapid.IntRange(1, 4).Draw(t, "statements") {
		s.statement(t, n)
	}
	switch ending := rapid.IntRange(0, 9).Draw(t, "ending"); {
	case ending < 7:
		s.end(n, true)
	case ending < 8:
		s.end(n, false)
	}
}

// writeOne commits one statement.
func (s *sequence) writeOne(t *rapid.T) {
	s.statement(t, 0)
	s.end(0, true)
}

func (s *sequence) statement(t *rapid.T, n int) {
	switch kind := rapid.IntRange(0, 15).Draw(t, "statement"); {
	case kind < 7:
		s.emit(n, rapid.SampledFrom([]int{1, 1, 2, 30}).Draw(t, "count"), rapid.SampledFrom(eventTypes).Draw(t, "type"),
			rapid.SampledFrom(tenants).Draw(t, "tenant"), payloads[rapid.IntRange(0, len(payloads)-1).Draw(t, "payload")])
	case kind < 9 || len(s.known) == 0:
		s.add(t, n, newID())
	case kind == 9:
		s.saveOrUndo(n)
	default:
		s.changeSubscription(t, n)
	}
}

func (s *sequence) add(t *rapid.T, n int, id string) {
	if s.numbers[id] == 0 {
		s.known = append(s.known, id)
	}
	s.alter(n, id, "add", version{
		exists: true, active: rapid.IntRange(0, 5).Draw(t, "inactive") < 5, tenant: rapid.SampledFrom(tenants).Draw(t, "tenant"),
		eventTypes: rapid.SampledFrom(patterns).Draw(t, "types"), receiver: rapid.IntRange(0, receivers-1).Draw(t, "receiver"),
	})
}

// saveOrUndo sets a savepoint, or goes back to the last one.
func (s *sequence) saveOrUndo(n int) {
	tx := s.begin(n)
	if tx.savepoint < 0 {
		s.execute(s.w.conns[n], "SAVEPOINT here")
		s.note("session %d: SAVEPOINT", n)
		tx.savepoint, tx.saved = len(tx.steps), make(map[string]version)
		for id, v := range tx.latest {
			tx.saved[id] = v
		}
		return
	}
	s.execute(s.w.conns[n], "ROLLBACK TO here; RELEASE here")
	s.note("session %d: ROLLBACK TO the savepoint", n)
	tx.steps, tx.latest, tx.savepoint = tx.steps[:tx.savepoint], tx.saved, -1
}

// touch commits an event that goes to a subscription, and then a change of it.
func (s *sequence) touch(t *rapid.T) {
	skipUnless(t, len(s.known) > 0 && s.txs[0] == nil)
	id := rapid.SampledFrom(s.known).Draw(t, "subscription")
	v := s.current(s.begin(0), id)
	for _, eventType := range eventTypes {
		if v.wants(&event{eventType: eventType, tenant: v.tenant}) {
			s.emit(0, 1, eventType, v.tenant, "1")
			break
		}
	}
	if rapid.Bool().Draw(t, "commit") {
		s.end(0, true)
	}
	s.changeOne(t, 0, id)
	s.end(0, true)
}

// whileDown ends the relay, if one runs, and starts it again after some events and changes.
func (s *sequence) whileDown(t *rapid.T) {
	skipUnless(t, len(s.known) > 0 && s.txs[0] == nil)
	if s.relay != nil {
		s.stopOrKill(t)
	}
	for range rapid.IntRange(1, 3).Draw(t, "touches") {
		s.touch(t)
	}
	s.start(t)
}

func (s *sequence) changeSubscription(t *rapid.T, n int) {
	s.changeOne(t, n, rapid.SampledFrom(s.known).Draw(t, "subscription"))
}

func (s *sequence) changeOne(t *rapid.T, n int, id string) {
	tx := s.begin(n)
	if by, taken := s.locked[id]; taken && by != n {
		return // It would wait for the other transaction.
	}
	v := s.current(tx, id)
	what := rapid.SampledFrom([]string{"on", "off", "point", "types", "remove"}).Draw(t, "change")
	switch {
	case !v.exists:
		if s.subscriptions[id] == nil {
			return // The other session has made it, or it was rolled back.
		}
		s.add(t, n, id)
		return
	case what == "on" || what == "off":
		v.active = what == "on"
	case what == "point":
		v.receiver = rapid.IntRange(0, receivers-1).Draw(t, "receiver")
	case what == "types":
		v.eventTypes, v.tenant = rapid.SampledFrom(patterns).Draw(t, "types"), rapid.SampledFrom(tenants).Draw(t, "tenant")
	case what == "remove":
		v.exists = false
	}
	s.alter(n, id, what, v)
}

// endOpen ends a transaction that is open.
func (s *sequence) endOpen(t *rapid.T) {
	skipUnless(t, !s.quiet())
	n := rapid.IntRange(0, connections-1).Draw(t, "session")
	s.end(n, rapid.Bool().Draw(t, "commit"))
}

func (s *sequence) endAll() {
	for n := range s.txs {
		s.end(n, true)
	}
}

func (s *sequence) changeReceiver(t *rapid.T) {
	i := rapid.IntRange(0, receivers-1).Draw(t, "receiver")
	s.setMode(i, rapid.SampledFrom([]mode{answers200, answers200, down, down, answers500, hangs}).Draw(t, "mode"))
}

func (s *sequence) start(t *rapid.T) {
	skipUnless(t, s.relay == nil)
	s.launch()
	if rapid.Bool().Draw(t, "await") && s.quiet() {
		s.awaitReady()
	}
}

func (s *sequence) stopOrKill(t *rapid.T) {
	skipUnless(t, s.relay != nil)
	if rapid.Bool().Draw(t, "kill") {
		s.kill()
	} else {
		s.stop()
	}
}

// loseSomething loses the slot or the publication. Of a running relay it must be known that it has them.
func (s *sequence) loseSomething(t *rapid.T) {
	skipUnless(t, s.relay == nil || s.open() == nil)
	again := rapid.Bool().Draw(t, "again") && s.quiet()
	if rapid.Bool().Draw(t, "slot") {
		s.loseSlot(again)
	} else {
		s.losePublication(again)
	}
}

// replaySomething makes a delivery again, if it is there and finished.
func (s *sequence) replaySomething(t *rapid.T) {
	skipUnless(t, len(s.events) > 0 && len(s.known) > 0)
	e := s.events[rapid.IntRange(0, len(s.events)-1).Draw(t, "event")]
	id := rapid.SampledFrom(s.known).Draw(t, "subscription")
	type made struct{ ID string }
	for _, row := range query[made](s, s.session(&s.w.admin), `SELECT outbox.replay(id)::text FROM outbox.deliveries
		WHERE event_id = $1::uuid AND subscription_id = $2::uuid AND replay_of IS NULL AND due_at IS NULL`, e.id, id) {
		s.replays = append(s.replays, replay{id: row.ID, pair: pair{e.id, id}, at: s.now + 1, when: s.when})
		s.note("replayed %s to %s: %s", e.id, id, row.ID)
	}
}

func (s *sequence) settleNow(t *rapid.T) {
	skipUnless(t, s.relay != nil && s.quiet())
	s.awaitSettled()
}

func (s *sequence) endAndSettle(t *rapid.T) {
	skipUnless(t, s.relay != nil)
	s.endAll()
	s.awaitSettled()
}

// restartPostgres stops and starts the server, which ends all transactions.
func (s *sequence) restartPostgres(t *rapid.T) {
	skipUnless(t, rapid.IntRange(0, 15).Draw(t, "rarely") == 15)
	how := rapid.SampledFrom([]postgres.StopMode{postgres.Fast, postgres.Immediate}).Draw(t, "mode")
	for n := range s.txs {
		if s.txs[n] != nil {
			s.note("session %d: ended by the server", n)
			s.forget(n)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.must(s.w.cluster.Stop(ctx, how), "stop Postgres")
	s.must(s.w.cluster.Resume(ctx), "start Postgres")
	s.w.disconnect()
	s.note("restarted Postgres, mode %d", how)
}

// truncate removes all subscriptions at once. It waits for every transaction, so there must be none.
func (s *sequence) truncate(t *rapid.T) {
	skipUnless(t, s.quiet() && len(s.known) > 0 && rapid.IntRange(0, 5).Draw(t, "rarely") == 5)
	tx := s.begin(0)
	s.execute(s.w.conns[0], `TRUNCATE outbox.subscriptions`)
	for _, id := range s.ids() {
		if v := s.current(tx, id); v.exists {
			v.exists = false
			tx.steps = append(tx.steps, func() { s.change(id, v) })
		}
	}
	s.note("TRUNCATE outbox.subscriptions")
	s.end(0, true)
}
