package model

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"
)

// patience is how long anything may take on a busy machine: well beyond the lease of what a killed relay had in hand.
const patience = 40 * time.Second

// connections is how many sessions of the host app there are, each with a transaction of its own.
const connections = 2

// sequence is one run: a database of its own, what was done to it, and what the model makes of that.
type sequence struct {
	*history
	t      *rapid.T // Of the step under way.
	w      *worker
	number int
	log    *lockedBuffer
	trace  []string

	txs [connections]*transaction

	relay   *process // nil while none runs.
	when    moment
	kills   []moment
	modes   [receivers + 1][]span
	replays []replay
	known   []string          // Ids of subscriptions, in the order in which they were made.
	locked  map[string]int    // Those that an open transaction has changed.
	numbers map[string]int    // Of their last versions.
	secrets map[string]string // By the path of the URL.

	watcherID string
}

// span is a time in which a receiver behaved in one way.
type span struct {
	from moment
	mode mode
}

// replay is a delivery made again.
type replay struct {
	id   string
	pair pair
	at   position
	when moment
}

// transaction is one that is open.
type transaction struct {
	steps     []func() // What it did, told to the model when it commits.
	latest    map[string]version
	savepoint int // How many steps there were; -1: there is none.
	saved     map[string]version
}

// must ends the sequence where something that it needs does not work.
func (s *sequence) must(err error, what string) {
	s.t.Helper()
	if err != nil {
		s.fail("%s: %v", what, err)
	}
}

// fail ends the sequence with all that happened in it.
func (s *sequence) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n--- what was done\n%s\n--- the relay's log\n%s", fmt.Sprintf(format, args...),
		strings.Join(s.trace, "\n"), s.log)
}

func (s *sequence) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%s %3d @%-3d ", time.Now().UTC().Format("15:04:05.000"), s.when, s.now)+fmt.Sprintf(format, args...))
}

// step begins a step of the sequence.
func (s *sequence) step(t *rapid.T) {
	s.t = t
	s.when++
	if s.relay != nil && !s.relay.running() {
		s.fail("the relay ended of its own accord: %v", s.relay.err)
	}
}

func (s *sequence) execute(conn *pgx.Conn, sql string, args ...any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := conn.Exec(ctx, sql, args...)
	s.must(err, sql)
}

func query[T any](s *sequence, conn *pgx.Conn, sql string, args ...any) []T {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rows, err := conn.Query(ctx, sql, args...)
	s.must(err, sql)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	s.must(err, sql)
	return all
}

// session returns the connection of a transaction, made on first use.
func (s *sequence) session(conn **pgx.Conn) *pgx.Conn {
	if *conn == nil || (*conn).IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var err error
		*conn, err = pgx.Connect(ctx, s.w.url)
		s.must(err, "connect")
	}
	return *conn
}

func (s *sequence) quiet() bool { return s.txs == [connections]*transaction{} }

// begin begins a transaction in a session, unless one is open there.
func (s *sequence) begin(n int) *transaction {
	if s.txs[n] == nil {
		s.execute(s.session(&s.w.conns[n]), "BEGIN")
		s.txs[n] = &transaction{latest: make(map[string]version), savepoint: -1}
		s.note("session %d: BEGIN", n)
	}
	return s.txs[n]
}

// end ends a transaction.
func (s *sequence) end(n int, commit bool) {
	tx := s.txs[n]
	if tx == nil {
		return
	}
	s.forget(n)
	if !commit {
		s.execute(s.w.conns[n], "ROLLBACK")
		s.note("session %d: ROLLBACK", n)
		return
	}
	s.execute(s.w.conns[n], "COMMIT")
	first := s.now + 1
	for _, tell := range tx.steps {
		tell()
	}
	s.note("session %d: COMMIT, positions %d to %d", n, first, s.now)
}

func (s *sequence) forget(n int) {
	s.txs[n] = nil
	for id, by := range s.locked {
		if by == n {
			delete(s.locked, id)
		}
	}
}

// current is a subscription as a transaction sees it.
func (s *sequence) current(tx *transaction, id string) version {
	if v, ok := tx.latest[id]; ok {
		return v
	}
	if sub := s.subscriptions[id]; sub != nil {
		return sub.before(far)
	}
	return version{}
}

// emit inserts events.
func (s *sequence) emit(n, count int, eventType, tenant, payload string) {
	tx := s.begin(n)
	type made struct {
		ID        string
		CreatedAt time.Time
	}
	rows := query[made](s, s.w.conns[n], `INSERT INTO outbox.events (type, tenant, user_id, payload)
		SELECT $1, $2, 'u', $3::text::json FROM generate_series(1, $4::int) RETURNING id::text, created_at`, eventType, tenant, payload, count)
	for _, row := range rows {
		e := &event{id: row.ID, eventType: eventType, tenant: tenant, payload: payload, createdAt: row.CreatedAt}
		tx.steps = append(tx.steps, func() { s.insert(e, s.when, s.relay != nil) })
	}
	s.note("session %d: %d × %s of %s, %d bytes: %s", n, count, eventType, tenant, len(payload), rows[0].ID)
}

// alter writes a version of a subscription; the SQL is for its id and what the version says.
func (s *sequence) alter(n int, id, what string, v version) {
	tx := s.begin(n)
	if v.number == 0 || what == "point" {
		s.numbers[id]++
		v.number = s.numbers[id]
		v.secret = newSecret()
		s.secrets[fmt.Sprintf("/%d/%s/%d", s.number, id, v.number)] = v.secret
	}
	conn, url := s.w.conns[n], s.w.stage.url(v.receiver, s.number, id, v.number)
	switch what {
	case "add":
		type made struct{ CreatedAt time.Time }
		v.createdAt = query[made](s, conn, `INSERT INTO outbox.subscriptions (id, tenant, url, event_types, secret, active)
			VALUES ($1::uuid, $2, $3, $4, $5, $6) RETURNING created_at`, id, v.tenant, url, v.eventTypes, v.secret, v.active)[0].CreatedAt
	case "remove":
		s.execute(conn, `DELETE FROM outbox.subscriptions WHERE id = $1::uuid`, id)
	default:
		s.execute(conn, `UPDATE outbox.subscriptions SET url = $2, secret = $3, event_types = $4, tenant = $5, active = $6
			WHERE id = $1::uuid`, id, url, v.secret, v.eventTypes, v.tenant, v.active)
	}
	s.locked[id] = n
	tx.latest[id] = v
	tx.steps = append(tx.steps, func() { s.change(id, v) })
	s.note("session %d: %s %s: exists %t active %t %s %v receiver %d version %d", n, what, id, v.exists, v.active, v.tenant, v.eventTypes,
		v.receiver, v.number)
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func newSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // It never fails.
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// launch starts a relay.
func (s *sequence) launch() {
	relay, err := launch(s.w.url, s.log)
	s.must(err, "start the relay")
	s.relay = relay
	s.seen()
	s.note("started a relay")
}

// awaitReady waits until the relay says that it relays.
func (s *sequence) awaitReady() {
	s.await("ready", s.relay.ready)
	s.relays()
	s.note("it is ready")
}

func (s *sequence) await(what string, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.fail("waited in vain: %s", what)
		}
		if s.relay != nil && !s.relay.running() {
			s.fail("the relay ended of its own accord: %v", s.relay.err)
		}
	}
}

// stop ends the relay.
func (s *sequence) stop() {
	relay := s.relay
	s.relay = nil
	s.must(relay.stop(), "stop the relay")
	s.note("stopped the relay")
}

func (s *sequence) kill() {
	s.relay.kill()
	s.relay = nil
	s.kills = append(s.kills, s.when)
	s.note("killed the relay")
}

// setMode changes how a receiver behaves.
func (s *sequence) setMode(i int, m mode) {
	s.w.stage.set(i, m)
	s.modes[i] = append(s.modes[i], span{from: s.when, mode: m})
	s.note("receiver %d: %v", i, m)
}

// modesBetween says in which ways a receiver behaved at some time between two moments.
func (s *sequence) modesBetween(i int, from, to moment) map[mode]bool {
	found := make(map[mode]bool)
	was := answers200
	for _, span := range s.modes[i] {
		if span.from > to {
			break
		}
		if span.from >= from {
			found[was] = true
		}
		was = span.mode
	}
	found[was] = true
	return found
}

// loseSlot drops the slot, whoever uses it, and makes it anew where asked.
func (s *sequence) loseSlot(again bool) {
	s.await("the slot is dropped", func() bool {
		ctx := context.Background()
		const end = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active`
		if _, err := s.session(&s.w.admin).Exec(ctx, end, slotName); err != nil {
			s.fail("%v", err)
		}
		_, err := s.session(&s.w.admin).Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, slotName)
		s.must(except(err, "55006", "42704"), "drop the slot")
		return err == nil
	})
	if again {
		_, err := s.session(&s.w.admin).Exec(context.Background(), `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, slotName)
		s.must(except(err, "42710"), "make the slot anew")
	}
	s.lose()
	s.note("dropped the slot; made anew: %t", again)
}

// losePublication does the same with the publication.
func (s *sequence) losePublication(again bool) {
	s.execute(s.session(&s.w.admin), `DROP PUBLICATION IF EXISTS `+slotName)
	if again {
		_, err := s.session(&s.w.admin).Exec(context.Background(), `CREATE PUBLICATION `+slotName+
			` FOR TABLE outbox.events, outbox.subscription_changes WITH (publish = 'insert')`)
		s.must(except(err, "42710", "23505"), "make the publication anew")
	}
	s.lose()
	s.note("dropped the publication; made anew: %t", again)
}

// except hides errors with certain codes.
func except(err error, codes ...string) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		for _, code := range codes {
			if pg.Code == code {
				return nil
			}
		}
	}
	return err
}
