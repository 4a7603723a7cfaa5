package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/postgres"
	"github.com/outboxrelay/relay/internal/receiver"
)

// pair is a primary and a standby that follows it, both with database app.
type pair struct {
	primary, standby *postgres.Cluster
	url              string // Of whichever takes writes.
	syncsSlots       bool   // PostgreSQL 17 and later.
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{primary: pgtest.Private(t, postgres.Options{FsyncOff: true})}
	require.NoError(t, p.primary.CreateDatabase(t.Context(), "app"))
	pgtest.Migrate(t, p.primary.URL("app"))
	db := pgtest.Pool(t, p.primary.URL("app"))
	p.syncsSlots = pgtest.Value[bool](t, db, `SELECT current_setting('server_version_num')::int >= 170000`)
	db.Close()
	settings := map[string]string{"wal_receiver_status_interval": "100ms"}
	if p.syncsSlots {
		settings["sync_replication_slots"] = "on"
	}
	standby, err := p.primary.Standby(t.Context(), postgres.Options{Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	p.standby = standby
	p.url = fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/app?sslmode=disable&target_session_attrs=read-write",
		p.primary.Port(), p.standby.Port())
	return p
}

// awaitSynced waits until the standby has the slot for keeps.
func (p *pair) awaitSynced(t *testing.T, slot string) {
	t.Helper()
	db := pgtest.Pool(t, p.standby.URL("app"))
	defer db.Close()
	await(t, "the slot on the standby", func() bool {
		return pgtest.Value[bool](t, db, `SELECT EXISTS (SELECT FROM pg_replication_slots
			WHERE slot_name = $1 AND (to_jsonb(pg_replication_slots) ->> 'synced')::boolean AND NOT temporary)`, slot)
	})
}

// A primary dies under load and its standby is promoted. What reached the standby is delivered, whether the standby has
// the slot (PostgreSQL 17 and later) or not; the relay is the same process all the while.
func TestAStandbyIsPromoted(t *testing.T) {
	p := newPair(t)
	const slot = "relay_promoted"
	r := receiver.New(t, nil)
	before := pgtest.Pool(t, p.primary.URL("app"))
	subscribe(t, before, r, "*")
	relay := start(t, p.url, slot)
	w := write(p.url, 200)
	await(t, "load", func() bool { return r.Len() > 200 })
	if p.syncsSlots {
		require.True(t, pgtest.Value[bool](t, before, `SELECT failover FROM pg_replication_slots WHERE slot_name = $1`, slot))
		p.awaitSynced(t, slot)
	}
	before.Close()

	require.NoError(t, p.primary.Kill())
	require.NoError(t, p.standby.Promote(context.Background()))
	promoted, arrived := time.Now(), r.Len()
	await(t, "deliveries after the promotion", func() bool { return r.Len() > arrived+100 })
	t.Logf("delivering again %v after the promotion", time.Since(promoted).Round(10*time.Millisecond))

	after := pgtest.Pool(t, p.standby.URL("app"))
	w.end(t, after)
	committed := len(w.committed)
	w.committed = slices.DeleteFunc(w.committed, func(id string) bool {
		return !pgtest.Value[bool](t, after, `SELECT EXISTS (SELECT FROM outbox.events WHERE id = $1::uuid)`, id)
	})
	require.Greater(t, len(w.committed), 200)
	twice := w.account(t, after, r)
	t.Logf("committed %d, on the standby %d, of these lost 0, twice %d", committed, len(w.committed), twice)
	require.Equal(t, !p.syncsSlots, strings.Contains(relay.log.String(), "making it anew"), "the slot was there: %v", p.syncsSlots)
	relay.stop()
}

// A slot made before the server knew failover slots, or by hand, is switched over.
func TestASlotIsSwitchedToFailover(t *testing.T) {
	url, slot := pgtest.Migrated(t), pgtest.Slot(t)
	db, r := pgtest.Pool(t, url), receiver.New(t, nil)
	failover := func() bool {
		return pgtest.Value[bool](t, db, `SELECT coalesce((to_jsonb(s) ->> 'failover')::boolean, false)
			FROM pg_replication_slots AS s WHERE slot_name = $1`, slot)
	}
	known := pgtest.Value[bool](t, db, `SELECT current_setting('server_version_num')::int >= 170000`)
	subscribe(t, db, r, "*")
	start(t, url, slot).stop()
	require.Equal(t, known, failover(), "made as one, where the server knows them")
	if known { // As pg_upgrade leaves it.
		replication(t, url, `ALTER_REPLICATION_SLOT "`+slot+`" (FAILOVER false)`)
		require.False(t, failover())
	}
	id := emit(t, db, "while.down")
	relay := start(t, url, slot)
	require.Equal(t, known, failover())
	await(t, "the stream goes on", func() bool { return r.Count(id) == 1 })
	require.NotContains(t, relay.log.String(), "anew")
	require.NotContains(t, relay.log.String(), "cannot make")
}
