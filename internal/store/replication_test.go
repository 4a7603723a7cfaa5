package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/internal/store"
)

func TestSlot(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	name := pgtest.Slot(t)
	slot, err := store.FindSlot(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, slot)
	require.ErrorContains(t, store.DropSlot(ctx, db, name), "drop replication slot: ")

	pgtest.Execute(t, db, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, name)
	pgtest.Execute(t, db, `INSERT INTO outbox.events (type, payload) VALUES ('a', '{}')`)
	slot, err = store.FindSlot(ctx, db, name)
	require.NoError(t, err)
	require.Equal(t, "pgoutput", slot.Plugin)
	require.Equal(t, pgtest.Value[string](t, db, `SELECT current_database()::text`), slot.Database)
	require.False(t, slot.Active)
	require.Zero(t, slot.ActivePID)
	require.Equal(t, "reserved", slot.WALStatus)
	require.NotZero(t, slot.Confirmed)
	require.NotZero(t, slot.Restart)
	require.LessOrEqual(t, slot.Restart, slot.Confirmed)
	require.Positive(t, slot.LagBytes)
	end, err := store.CurrentWAL(ctx, db)
	require.NoError(t, err)
	require.LessOrEqual(t, slot.Confirmed+pglogrepl.LSN(slot.LagBytes), end)

	require.NoError(t, store.DropSlot(ctx, db, name))
	slot, err = store.FindSlot(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, slot)
}

func TestPublication(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	const name = `odd "name", Ü`
	p, err := store.FindPublication(ctx, db, name)
	require.NoError(t, err)
	require.Nil(t, p)
	require.NoError(t, store.CreatePublication(ctx, db, name))
	require.ErrorContains(t, store.CreatePublication(ctx, db, name), "create publication: ")
	right, err := store.FindPublication(ctx, db, name)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"events", "subscription_changes"}, right.Relations)
	require.Equal(t, store.Publication{OID: right.OID, Version: right.Version, Inserts: true, Relations: right.Relations}, *right, "nothing else")
	require.Equal(t, right.OID, pgtest.Value[int64](t, db, `SELECT oid::bigint FROM pg_publication WHERE pubname = $1`, name))

	require.NotEmpty(t, right.Version)
	pgtest.Execute(t, db, `CREATE PUBLICATION another FOR TABLE outbox.events`)
	pgtest.Execute(t, db, `COMMENT ON PUBLICATION "odd ""name"", Ü" IS 'mine'`)
	for _, vacuum := range []string{"VACUUM FREEZE ", "VACUUM FULL "} {
		for _, table := range []string{"pg_publication", "pg_publication_rel", "pg_depend"} {
			pgtest.Execute(t, db, vacuum+table)
		}
	}
	p, err = store.FindPublication(ctx, db, name)
	require.NoError(t, err)
	require.Equal(t, right, p, "nothing of this alters it")

	// However somebody changed it, the repair mends it, and it stays the same publication, of another version.
	pgtest.Execute(t, db, `CREATE TABLE other (id int PRIMARY KEY)`)
	versions := []string{right.Version}
	for _, change := range []string{
		`DROP TABLE outbox.events`, `ADD TABLE other`, `SET TABLE outbox.events WHERE (type <> 'a'), outbox.subscription_changes`,
		`SET TABLE outbox.events (id, type), outbox.subscription_changes`, `SET TABLE other, outbox.deliveries`, `SET (publish = 'update')`,
		`SET (publish = 'insert, update, delete, truncate')`,
	} {
		if filters := strings.Contains(change, "WHERE (") || strings.Contains(change, "(id"); filters && serverVersion(t, db) < 150000 {
			continue // It has no such thing.
		}
		pgtest.Execute(t, db, `ALTER PUBLICATION "odd ""name"", Ü" `+change)
		p, err = store.FindPublication(ctx, db, name)
		require.NoError(t, err)
		require.NotEqual(t, right, p, change)
		for _, statement := range p.RepairSQL(name) {
			pgtest.Execute(t, db, statement)
		}
		p, err = store.FindPublication(ctx, db, name)
		require.NoError(t, err)
		require.NotContains(t, versions, p.Version, change)
		versions = append(versions, p.Version)
		p.Version = right.Version
		require.Equal(t, right, p, change)
		require.Equal(t, 2, pgtest.Value[int](t, db, `SELECT count(*) FROM pg_publication_tables WHERE pubname = $1`, name), change)
	}

	// Put back by hand, it is of another version as well: what was committed meanwhile was not published.
	changes := [][2]string{
		{`DROP TABLE outbox.events`, `ADD TABLE outbox.events`}, {`SET (publish = 'update')`, `SET (publish = 'insert')`},
	}
	if serverVersion(t, db) >= 150000 {
		changes = append(changes,
			[2]string{`SET TABLE outbox.events WHERE (type <> 'a'), outbox.subscription_changes`, `SET TABLE outbox.events, outbox.subscription_changes`},
			[2]string{`ADD TABLES IN SCHEMA outbox`, `DROP TABLES IN SCHEMA outbox`})
	}
	for _, change := range changes {
		for _, half := range change {
			pgtest.Execute(t, db, `ALTER PUBLICATION "odd ""name"", Ü" `+half)
			p, err = store.FindPublication(ctx, db, name)
			require.NoError(t, err)
			if half != `DROP TABLES IN SCHEMA outbox` { // What was published besides does not count.
				require.NotContains(t, versions, p.Version, half)
			}
			versions = append(versions, p.Version)
		}
	}

	pgtest.Execute(t, db, `CREATE PUBLICATION everything FOR ALL TABLES`)
	p, err = store.FindPublication(ctx, db, "everything")
	require.NoError(t, err)
	require.True(t, p.Inserts && p.Others && p.AllTables && !p.Filtered)
	require.Subset(t, p.Relations, right.Relations)
	for _, statement := range p.RepairSQL("everything") {
		pgtest.Execute(t, db, statement)
	}
}

func serverVersion(t testing.TB, db store.DB) int {
	t.Helper()
	return pgtest.Value[int](t, db, `SELECT current_setting('server_version_num')::int`)
}

func TestState(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	state, err := store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Nil(t, state)
	require.NoError(t, store.SaveConfirmed(ctx, db, "relay", 0x100), "of no slot, nothing is noted")
	state, err = store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Nil(t, state)

	scan(t, db, "relay")
	scan(t, db, "other")
	begun, err := store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Equal(t, "7123", begun.SystemIdentifier)
	require.EqualValues(t, 3_000_000_001, begun.PublicationOID, "an oid may be larger than an int32")
	require.Equal(t, pgtest.Value[int64](t, db, `SELECT oid::bigint FROM pg_database WHERE datname = current_database()`), begun.DatabaseOID)
	require.Equal(t, "1 2:3", begun.PublicationVersion)
	require.NotZero(t, begun.Scanned)
	require.Equal(t, begun.Scanned, begun.Confirmed)
	require.Equal(t, begun.Scanned, begun.Read, "of a new slot nothing was read")

	for wrote, want := range map[bool]string{true: "1 2:3", false: "4 5:6"} { // What is known is kept.
		pgtest.Execute(t, db, `UPDATE outbox.relay_state SET publication_version = CASE WHEN $1 THEN '1 2:3' END WHERE slot = 'relay'`, wrote)
		require.NoError(t, store.AdoptPublicationVersion(ctx, db, "relay", "4 5:6"))
		state, err = store.LoadState(ctx, db, "relay")
		require.NoError(t, err)
		require.Equal(t, want, state.PublicationVersion)
	}

	require.NoError(t, store.BeginReading(ctx, db, "relay"))
	state, err = store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Zero(t, state.Read)
	conn, err := db.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	require.NoError(t, store.EndReading(ctx, conn.Conn().PgConn(), "relay", begun.Read+1))
	state, err = store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Equal(t, begun.Read+1, state.Read)
	other, err := store.LoadState(ctx, db, "other")
	require.NoError(t, err)
	require.Equal(t, other.Scanned, other.Read, "another slot is left alone")

	for _, at := range []pglogrepl.LSN{begun.Confirmed + 0x2_0000_0000, begun.Confirmed + 1} { // It never goes back.
		require.NoError(t, store.SaveConfirmed(ctx, db, "relay", at))
		state, err = store.LoadState(ctx, db, "relay")
		require.NoError(t, err)
		require.Equal(t, begun.Confirmed+0x2_0000_0000, state.Confirmed)
		require.Equal(t, begun.Scanned, state.Scanned)
	}
	other, err = store.LoadState(ctx, db, "other")
	require.NoError(t, err)
	require.Equal(t, other.Scanned, other.Confirmed, "another slot is left alone")

	scan(t, db, "relay") // The slot was made anew: all begins again.
	state, err = store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Equal(t, state.Scanned, state.Confirmed)
	require.Greater(t, state.Scanned, begun.Scanned)
	require.NoError(t, store.ForgetState(ctx, db, "relay"))
	state, err = store.LoadState(ctx, db, "relay")
	require.NoError(t, err)
	require.Nil(t, state)
	require.Equal(t, 1, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.relay_state`))
}

// A relay belongs to the database that it was set up for: in a copy it is away, until it adopts that.
func TestHome(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	home, err := store.FindHome(ctx, db)
	require.NoError(t, err)
	require.Nil(t, home.Place)
	require.False(t, home.Away())
	require.NotEmpty(t, home.Here.SystemIdentifier)
	require.Equal(t, pgtest.Value[int64](t, db, `SELECT oid::bigint FROM pg_database WHERE datname = current_database()`), home.Here.DatabaseOID)

	for range 2 { // It settles once.
		require.NoError(t, store.SettleHome(ctx, db))
		home, err = store.FindHome(ctx, db)
		require.NoError(t, err)
		require.Equal(t, home.Here, *home.Place)
		require.False(t, home.Away())
	}
	pgtest.Execute(t, db, `UPDATE outbox.relay_home SET database_oid = 1`)
	require.NoError(t, store.SettleHome(ctx, db))
	home, err = store.FindHome(ctx, db)
	require.NoError(t, err)
	require.True(t, home.Away())
	require.NoError(t, store.Adopt(ctx, db))
	home, err = store.FindHome(ctx, db)
	require.NoError(t, err)
	require.False(t, home.Away())

	// Where a slot's state tells of an earlier home, that is the home.
	scan(t, db, "relay") // Of cluster 7123, it says.
	pgtest.Execute(t, db, `DELETE FROM outbox.relay_home`)
	require.NoError(t, store.SettleHome(ctx, db))
	home, err = store.FindHome(ctx, db)
	require.NoError(t, err)
	require.Equal(t, "7123", home.Place.SystemIdentifier)
	require.True(t, home.Away())
}

// scan makes a temporary slot and scans the outbox in its snapshot. What after does is committed after that.
func scan(t testing.TB, db store.DB, name string, after ...func()) int64 {
	t.Helper()
	ctx := t.Context()
	url := pgtest.Value[string](t, db, `SELECT current_database()::text`)
	url = pgtest.Cluster(t).URL(url)
	stream, err := store.ConnectReplication(ctx, url)
	require.NoError(t, err)
	defer stream.Close(ctx)
	made, err := pglogrepl.CreateReplicationSlot(ctx, stream, pgtest.Slot(t), "pgoutput", pglogrepl.CreateReplicationSlotOptions{
		Temporary: true, Mode: pglogrepl.LogicalReplication, SnapshotAction: "EXPORT_SNAPSHOT",
	})
	require.NoError(t, err)
	for _, f := range after {
		f()
	}
	conn, err := store.Connect(ctx, url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	found, err := store.Scan(ctx, conn, store.NewSlot{
		Name: name, Snapshot: made.SnapshotName, ConsistentPoint: made.ConsistentPoint, SystemIdentifier: "7123", PublicationOID: 3_000_000_001,
		PublicationVersion: "1 2:3",
	})
	require.NoError(t, err)
	return found
}

// Every event that has not got its deliveries gets them, as the stream would have given them.
func TestScan(t *testing.T) {
	t.Parallel()

	db := database(t)
	for _, s := range []string{
		`1, 'default', '{*}'`, `2, 'default', '{user.*}'`, `3, 'default', '{user.invited,user.*,*}'`, `4, 'acme', '{*}'`,
		`5, 'default', '{user}'`, `6, 'default', '{user.invited.*,order_.*}'`,
	} {
		pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (id, tenant, event_types, url, created_at)
			SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, tenant, types::text[], 'https://example.com', now() - interval '2 hours'
			  FROM (SELECT `+s+`) AS s(n, tenant, types)`)
	}
	subscribe(t, db, 7, false)
	pgtest.Execute(t, db, `INSERT INTO outbox.subscriptions (id, url, event_types) VALUES ($1, 'https://example.com', '{*}')`, number(8)) // Too new.
	for i, typ := range []string{"user.invited", "user", "users.invited", "user.invited.again", "orders.paid"} {
		putEvents(t, db, time.Hour, 100+i)
		pgtest.Execute(t, db, `UPDATE outbox.events SET type = $1, user_id = '42' WHERE id = $2`, typ, number(100+i))
	}
	putEvents(t, db, 3*time.Hour, 105) // Older than all.
	pgtest.Execute(t, db, `INSERT INTO outbox.events (id, tenant, type, payload, created_at) VALUES ($1, 'acme', 'a', '{}', now() - interval '1 hour')`, number(106))
	pgtest.Execute(t, db, `
		INSERT INTO outbox.deliveries (id, event_id, subscription_id, event_created_at, finished_at, status, event_type, tenant, url)
		VALUES (outbox.delivery_id($1, $2), $1, $2, now(), now(), 'accepted', 'user', 'default', '')`, number(101), number(1))

	late := func() {
		putEvents(t, db, time.Hour, 107)
		subscribe(t, db, 9, true)
	}
	require.EqualValues(t, 14, scan(t, db, "relay", late))
	require.Equal(t, []string{
		"100: 1 2 3", "101: 1 3 5", "102: 1 3", "103: 1 2 3 6", "104: 1 3", "106: 4",
	}, pgtest.Values[string](t, db, `
		SELECT right(event_id::text, 3) || ': ' || string_agg(right(subscription_id::text, 1), ' ' ORDER BY subscription_id)
		  FROM outbox.deliveries GROUP BY event_id ORDER BY 1`), "not what is committed after the snapshot")
	require.Empty(t, pgtest.Values[uuid.UUID](t, db, `
		SELECT d.id FROM outbox.deliveries AS d JOIN outbox.events AS e ON e.id = d.event_id
		 WHERE d.status <> 'accepted'
		   AND (d.id <> outbox.delivery_id(d.event_id, d.subscription_id) OR d.status <> 'pending' OR d.due_at > clock_timestamp()
		     OR (d.event_created_at, d.event_type, d.tenant) <> (e.created_at, e.type, e.tenant) OR d.user_id IS DISTINCT FROM e.user_id
		     OR d.url <> 'https://example.com' OR d.lease IS NOT NULL)`))
	require.Equal(t, []string{"0/1 8", " 1"}, pgtest.Values[string](t, db, `
		SELECT concat(commit_lsn, ' ', count(*)) FROM outbox.subscription_changes GROUP BY commit_lsn ORDER BY commit_lsn`),
		"changes that the snapshot shows lie before the slot; the others come down the stream")
	require.Len(t, subscriptionsAt(t, db, 2), 8)

	require.EqualValues(t, 9, scan(t, db, "relay"), "the new event, and the new subscription; nothing twice")
}

// A scan that fails leaves nothing of it behind: the next start begins again.
func TestScanThatFails(t *testing.T) {
	t.Parallel()

	db := database(t)
	subscribe(t, db, 1, true)
	putEvents(t, db, time.Hour, 100)
	conn, err := db.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = store.Scan(t.Context(), conn.Conn(), store.NewSlot{Name: "relay", Snapshot: "0'; DROP SCHEMA outbox CASCADE; --", ConsistentPoint: "0/1"})
	require.ErrorContains(t, err, "scan the outbox: ")
	require.ErrorAs(t, err, new(*pgconn.PgError))
	pgtest.Execute(t, db, `ALTER TABLE outbox.relay_state ADD CONSTRAINT broken CHECK (slot <> 'relay')`)
	tx := begin(t, db)
	pgtest.Execute(t, tx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`)
	snapshot := pgtest.Value[string](t, tx, `SELECT pg_export_snapshot()`)
	_, err = store.Scan(t.Context(), conn.Conn(), store.NewSlot{Name: "relay", Snapshot: snapshot, ConsistentPoint: "0/1"})
	require.ErrorContains(t, err, "broken")
	require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.deliveries`))
	require.Zero(t, pgtest.Value[int](t, db, `SELECT count(*) FROM outbox.subscription_changes WHERE commit_lsn IS NOT NULL`))
}
