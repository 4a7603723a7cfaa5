package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/internal/receiver"
)

// mostInFlight bounds what a kill may send twice: delivery.concurrency and what waits to be recorded (one full batch
// under way, one waiting).
const mostInFlight = 512 + 2*512

func TestKilledUnderLoad(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	const seed, kills = 20260601, 20
	random := rand.New(rand.NewPCG(seed, 0))
	relay := start(t, url, slot)
	w := write(url, 500)
	for range kills {
		time.Sleep(time.Duration(50+random.IntN(450)) * time.Millisecond) // The moment of the kill, not a wait.
		relay.kill()
		relay = start(t, url, slot)
	}
	w.end(t, db)
	twice := w.account(t, db, r)
	t.Logf("seed %d: killed %d times, committed %d, lost 0, phantom 0, twice %d", seed, kills, len(w.committed), twice)
	require.LessOrEqual(t, twice, kills*mostInFlight)
}

func TestCleanStopsSendNothingTwice(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, url, slot)
	w := write(url, 500)
	for range 8 {
		time.Sleep(200 * time.Millisecond) // Under load, not a wait.
		relay.stop()
		relay = start(t, url, slot)
	}
	w.end(t, db)
	require.Zero(t, w.account(t, db, r), "sent twice")
}

func TestPostgresStopsUnderLoad(t *testing.T) {
	cluster := pgtest.Private(t, postgres.Options{})
	require.NoError(t, cluster.CreateDatabase(context.Background(), "app"))
	url := cluster.URL("app")
	pgtest.Migrate(t, url)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, url, "relay_stop")
	w := write(url, 300)
	for _, how := range []string{"fast", "immediate", "kill", "fast"} {
		before := r.Len()
		await(t, "deliveries before the stop", func() bool { return r.Len() > before+100 })
		began := time.Now()
		switch how {
		case "fast":
			require.NoError(t, cluster.Stop(context.Background(), postgres.Fast))
			require.Less(t, time.Since(began), 5*time.Second, "a fast stop must not wait for the relay")
		case "immediate":
			require.NoError(t, cluster.Stop(context.Background(), postgres.Immediate))
		case "kill":
			require.NoError(t, cluster.Kill())
		}
		require.NoError(t, cluster.Resume(context.Background()))
		began, before = time.Now(), r.Len()
		await(t, "deliveries after the stop", func() bool { return r.Len() > before+100 })
		t.Logf("%s stop: delivering again %v after the server was back", how, time.Since(began).Round(10*time.Millisecond))
	}
	w.end(t, db)
	twice := w.account(t, db, r)
	t.Logf("committed %d, lost 0, phantom 0, twice %d", len(w.committed), twice)
	relay.stop()
}

func TestALostSlotLosesNothing(t *testing.T) {
	for name, lose := range map[string]string{
		"dropped":          `SELECT pg_drop_replication_slot('SLOT')`,
		"made anew":        `SELECT pg_drop_replication_slot('SLOT'); SELECT outbox.emit('a', '1'); SELECT pg_create_logical_replication_slot('SLOT', 'pgoutput')`,
		"publication gone": `DROP PUBLICATION "SLOT"`,
		"publication altered": `ALTER PUBLICATION "SLOT" DROP TABLE outbox.events; SELECT outbox.emit('a', '1');
			ALTER PUBLICATION "SLOT" SET TABLE outbox.events, outbox.subscription_changes; ALTER PUBLICATION "SLOT" SET (publish = 'insert')`,
		"publication of updates": `ALTER PUBLICATION "SLOT" SET (publish = 'update'); SELECT outbox.emit('a', '1');
			ALTER PUBLICATION "SLOT" SET (publish = 'insert')`,
		"publication filtered": `ALTER PUBLICATION "SLOT" SET TABLE outbox.events WHERE (type <> 'a'), outbox.subscription_changes;
			SELECT outbox.emit('a', '1'); ALTER PUBLICATION "SLOT" SET TABLE outbox.events, outbox.subscription_changes`,
		"publication anew": `DROP PUBLICATION "SLOT"; SELECT outbox.emit('a', '1'); CREATE PUBLICATION "SLOT" FOR TABLE outbox.events, outbox.subscription_changes WITH (publish = 'insert')`,
	} {
		t.Run(name, func(t *testing.T) {
			url, slot := pgtest.Migrated(t), pgtest.Slot(t)
			db, r := pgtest.Pool(t, url), receiver.New(t, nil)
			if name == "publication filtered" && pgtest.Value[int](t, db, `SELECT current_setting('server_version_num')::int`) < 150000 {
				return // It has no such thing.
			}
			subscribe(t, db, r, "*")
			relay := start(t, url, slot)
			first := emit(t, db, "first")
			await(t, "the first event", func() bool { return r.Count(first) == 1 })
			relay.stop()
			emit(t, db, "while.down")
			script(t, url, lose, slot)
			last := emit(t, db, "last")
			relay = start(t, url, slot)
			all := pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.events`)
			await(t, "all events", func() bool { return len(r.IDs()) == all })
			await(t, "recorded", func() bool {
				return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == all
			})
			require.Equal(t, all, r.Len(), "none twice")
			require.Equal(t, 1, r.Count(last))
			require.Contains(t, relay.log.String(), "making it anew", "said loudly")
			after := emit(t, db, "after")
			await(t, "the stream goes on", func() bool { return r.Count(after) == 1 })
		})
	}
}

func TestPublicationDroppedWhileRunning(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	start(t, url, slot)
	script(t, url, `DROP PUBLICATION "SLOT"`, slot)
	ids := []string{emit(t, db, "a"), emit(t, db, "b")}
	for _, id := range ids {
		await(t, "an event after the publication was dropped", func() bool { return r.Count(id) == 1 })
	}
}

// One that was put back before the relay looks again has not published what was committed meanwhile.
func TestPublicationAlteredWhileRunning(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	relay := start(t, url, slot)
	script(t, url, `ALTER PUBLICATION "SLOT" DROP TABLE outbox.events; SELECT outbox.emit('a', '1');
		ALTER PUBLICATION "SLOT" SET TABLE outbox.events, outbox.subscription_changes; ALTER PUBLICATION "SLOT" SET (publish = 'insert')`, slot)
	after := emit(t, db, "b")
	await(t, "all events", func() bool { return len(r.IDs()) == 2 })
	require.Equal(t, 1, r.Count(after), "none twice")
	require.Equal(t, 2, r.Len(), "none twice")
	require.Contains(t, relay.log.String(), "its publication was altered")
	relay.awaitReady()
	last := emit(t, db, "c")
	await(t, "the stream goes on", func() bool { return r.Count(last) == 1 })
}

func TestARestartKeepsTheSlot(t *testing.T) {
	url, slot := pgtest.URL(t), pgtest.Slot(t)
	out, code := command(t, naming(url, slot), "init")
	require.Zero(t, code, out)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	const scanned = `SELECT concat_ws(' ', scanned_lsn, publication_version) FROM outbox.relay_state WHERE publication_version <> ''`
	before := pgtest.Value[string](t, db, scanned)
	for n := range 3 {
		relay := start(t, url, slot)
		emit(t, db, "a")
		await(t, "delivered", func() bool { return r.Len() == n+1 })
		relay.stop()
		require.NotContains(t, relay.log.String(), "anew")
		require.NotContains(t, relay.log.String(), "scan")
		out, code := command(t, naming(url, slot), "init")
		require.Zero(t, code, out)
		require.Equal(t, before, pgtest.Value[string](t, db, scanned))
	}
}

func TestASecondRelayTakesOver(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	leader := start(t, url, slot)
	standby := start(t, url, slot)
	require.Contains(t, standby.log.String(), "standing by")
	w := write(url, 200)
	before := r.Len()
	await(t, "load", func() bool { return r.Len() > before+100 })
	leader.kill()
	killed := time.Now()
	last := emit(t, db, "last")
	await(t, "take-over", func() bool { return r.Count(last) > 0 })
	t.Logf("the standby delivered %v after the leader was killed", time.Since(killed).Round(10*time.Millisecond))
	w.end(t, db)
	twice := w.account(t, db, r)
	require.LessOrEqual(t, twice, mostInFlight)
}

func TestWhatAKilledRelayHadInHandIsTakenUp(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.Hang()
	subscribe(t, db, r, "*")
	settings := []string{"RELAY_DELIVERY_TIMEOUT=2s"}
	relay := start(t, url, slot, settings...)
	event := emit(t, db, "a")
	await(t, "written down", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'pending'`) == 1
	})
	relay.kill()
	killed := time.Now()
	r.SetStatus(200)
	r.Release()
	start(t, url, slot, settings...)
	await(t, "taken up", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == 1
	})
	require.Less(t, time.Since(killed), 2*time.Second+10*time.Second)
	require.Equal(t, 2, r.Count(event))
}

func TestAPausedLeaderOverwritesNothing(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.Hang()
	subscribe(t, db, r, "*")
	settings := []string{"RELAY_DELIVERY_TIMEOUT=2s"}
	paused := start(t, url, slot, settings...)
	emit(t, db, "a")
	await(t, "written down", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'pending'`) == 1
	})
	require.NoError(t, paused.cmd.Process.Signal(syscall.SIGSTOP))
	r.SetStatus(200)
	r.Release()
	start(t, url, slot, settings...)
	accepted := `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted' AND attempts = 1`
	await(t, "another takes it up", func() bool { return pgtest.Value[int](t, db, accepted) == 1 })
	row := pgtest.Value[string](t, db, `SELECT d::text FROM outbox.deliveries AS d`)
	require.NoError(t, paused.cmd.Process.Signal(syscall.SIGCONT))
	paused.stop() // It records what it has, and that must change nothing.
	require.Equal(t, row, pgtest.Value[string](t, db, `SELECT d::text FROM outbox.deliveries AS d`))
}

// What the server had sent to a leader before it gave it up waits in the connection. Another relay has delivered that by the
// time that the first goes on.
func TestAPausedLeaderSendsNothingOfWhatItMissed(t *testing.T) {
	cluster := pgtest.Private(t, postgres.Options{FsyncOff: true, Settings: map[string]string{"wal_sender_timeout": "4s"}})
	require.NoError(t, cluster.CreateDatabase(context.Background(), "app"))
	url := cluster.URL("app")
	pgtest.Migrate(t, url)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	subscribe(t, db, r, "*")
	paused := start(t, url, "relay_paused")
	start(t, url, "relay_paused")
	w := write(url, 300)
	await(t, "load", func() bool { return r.Len() > 100 })
	require.NoError(t, paused.cmd.Process.Signal(syscall.SIGSTOP))
	first := emit(t, db, "first")
	await(t, "the other takes over", func() bool { return r.Count(first) == 1 })
	require.NoError(t, paused.cmd.Process.Signal(syscall.SIGCONT))
	await(t, "it notices", func() bool { return strings.Contains(paused.log.String(), "held still") })
	paused.awaitReady()
	w.end(t, db)
	twice := w.account(t, db, r)
	t.Logf("committed %d, twice %d", len(w.committed), twice)
	require.LessOrEqual(t, twice, 100, "what was in flight: of some seconds' events, a few milliseconds' worth")
}

func TestAHangingURLDelaysNobody(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, healthy, hanging := pgtest.Pool(t, url), receiver.New(t, nil), receiver.New(t, nil)
	hanging.Hang()
	subscribe(t, db, healthy, "*")
	subscribe(t, db, hanging, "*")
	relay := start(t, url, slot, "RELAY_DELIVERY_TIMEOUT=3s")
	w := write(url, 300)
	await(t, "a thousand deliveries", func() bool { return healthy.Len() > 1000 })
	w.end(t, db)
	var delays []time.Duration
	for _, request := range healthy.Requests() {
		created := pgtest.Value[time.Time](t, db, `SELECT created_at FROM outbox.events WHERE id = $1::uuid`, request.ID)
		delays = append(delays, request.At.Sub(created))
	}
	slices.Sort(delays)
	p99 := delays[len(delays)*99/100]
	t.Logf("healthy URL beside a hanging one: p50 %v, p99 %v", delays[len(delays)/2], p99)
	require.Less(t, p99, 400*time.Millisecond, "below the half second in which a hanging lane is found out")
	last := emit(t, db, "last")
	await(t, "the slot moves on", func() bool {
		return healthy.Count(last) == 1 && pgtest.Value[int64](t, db, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
			FROM pg_replication_slots WHERE slot_name = $1`, slot) < 1<<20
	})
	await(t, "timeouts", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.attempts WHERE error_class = 'timeout'`) > 0
	})
	hanging.Release()
	relay.stop()
}

func TestAHugeTransaction(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	r.SkipBodies()
	subscribe(t, db, r, "*")
	relay := start(t, url, slot)
	const events = 100_000
	pgtest.Execute(t, db, `INSERT INTO outbox.events (type, payload) SELECT 'a', '{"n": 1}' FROM generate_series(1, $1)`, events)
	await(t, "all recorded", func() bool {
		return pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries WHERE status = 'accepted'`) == events
	})
	require.Equal(t, events, r.Len())
	peak := relay.peakMemoryBytes()
	t.Logf("%d events in one transaction: peak memory %d MiB", events, peak>>20)
	require.Less(t, peak, int64(128<<20))
}

func TestAnIdleOutboxRetainsNoWAL(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db := pgtest.Pool(t, url)
	start(t, url, slot)
	pgtest.Execute(t, db, `CREATE TABLE busy (t text)`)
	for range 10 {
		pgtest.Execute(t, db, `INSERT INTO busy SELECT repeat(md5(i::text), 30) FROM generate_series(1, 20000) AS i`)
	}
	pgtest.Execute(t, db, `CHECKPOINT`)
	await(t, "the slot has moved on", func() bool {
		return pgtest.Value[int64](t, db, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint
			FROM pg_replication_slots WHERE slot_name = $1`, slot) < 16<<20
	})
}
