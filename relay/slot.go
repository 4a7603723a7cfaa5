package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
)

// errStandby says that another relay has the slot.
var errStandby = errors.New("another relay has the slot")

// connectReplication opens a replication connection. Its settings make the text of values independent of the server's.
func (r *Relay) connectReplication(ctx context.Context) (*pgconn.PgConn, error) {
	url := r.cfg.Database.ReplicationURL
	if url == "" {
		url = r.cfg.Database.URL
	}
	config, err := store.ReplicationConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open a replication connection: %w", err)
	}
	boundConnection(config)
	params := config.RuntimeParams
	params["timezone"] = "UTC"
	params["datestyle"] = "ISO"
	params["extra_float_digits"] = "3"
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		if err = refusedReplication(err, config.User); r.cfg.Database.ReplicationURL != "" {
			err = replicationError{err}
		}
		return nil, fmt.Errorf("open a replication connection: %w", err)
	}
	// Before anything else: a lock taken through a pooler would stay with it.
	if _, err := pglogrepl.IdentifySystem(ctx, conn); err != nil {
		_ = conn.Close(ctx)
		if hasCode(err, "42601") { // It was taken for SQL.
			err = &ConfigError{Fault: "the server does not take replication commands there", Mend: poolerMend, cause: err}
		}
		return nil, fmt.Errorf("open a replication connection: %w", err)
	}
	if err := store.LiftTimeouts(ctx, conn); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// lead makes this relay the only one to work with the slot, for as long as the connection lives: a lock that the server
// lets go of when the process dies. It returns errStandby while another holds it.
func (r *Relay) lead(ctx context.Context, conn *pgconn.PgConn) error {
	sql := "SELECT pg_try_advisory_lock(hashtextextended('relay slot ' || '" + r.cfg.Replication.Slot + "', 0))"
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return fmt.Errorf("take the lead: %w", err)
	}
	if string(results[0].Rows[0][0]) != "t" {
		return errStandby
	}
	return nil
}

// prepared is a slot that is ready to be read.
type prepared struct {
	state     store.State
	confirmed pglogrepl.LSN // Where the stream begins.
}

// prepareSlot sees to it that publication and slot are there and that nothing was lost since they were last used; where
// it may have been, it makes the slot anew and scans the outbox. The caller leads.
func (r *Relay) prepareSlot(ctx context.Context, conn *pgconn.PgConn) (*prepared, error) {
	looking, cancel := context.WithTimeout(ctx, recordTimeout) // On a connection that hangs it would wait for ever.
	defer cancel()
	system, err := pglogrepl.IdentifySystem(looking, conn)
	if err != nil {
		return nil, fmt.Errorf("identify the server: %w", err)
	}
	if err := r.requireSameDatabase(system); err != nil {
		return nil, err
	}
	if err := r.requirePrimary(looking, conn); err != nil {
		return nil, err
	}
	publication, err := r.ensurePublication(looking)
	if err != nil {
		return nil, err
	}
	slot, err := store.FindSlot(looking, r.db, r.cfg.Replication.Slot)
	if err != nil {
		return nil, err
	}
	state, err := store.LoadState(looking, r.db, r.cfg.Replication.Slot)
	if err != nil {
		return nil, err
	}
	if slot != nil && slot.Active {
		return nil, errStandby
	}
	why, err := r.slotFault(slot, state, publication, system.SystemID)
	if err != nil {
		return nil, err
	}
	if why == "" {
		if state.PublicationVersion == "" { // The slot of an earlier version of the program.
			if err := store.AdoptPublicationVersion(looking, r.db, r.cfg.Replication.Slot, publication.Version); err != nil {
				return nil, err
			}
			state.PublicationVersion = publication.Version
		}
		r.surviveFailover(looking, conn)
		return &prepared{state: *state, confirmed: slot.Confirmed}, nil
	}
	return r.makeSlot(ctx, conn, slot, state, publication, system.SystemID, why)
}

// requireSameDatabase refuses a replication connection to another database than the pool's: a slot belongs to one database, and
// no other can use its snapshot.
func (r *Relay) requireSameDatabase(system pglogrepl.IdentifySystemResult) error {
	what := ""
	switch home := r.home.Load(); {
	case home != nil && home.SystemIdentifier != system.SystemID:
		what = fmt.Sprintf("another cluster than database.url (system identifier %s, not %s)", system.SystemID, home.SystemIdentifier)
	case system.DBName != r.database:
		what = fmt.Sprintf("another database than database.url (%s, not %s)", system.DBName, r.database)
	default:
		return nil
	}
	who := "database.replication_url"
	if r.cfg.Database.ReplicationURL == "" { // With several hosts.
		who = "the replication connection"
	}
	return &ConfigError{Fault: who + " leads to " + what, Mend: "point both at the same database"}
}

// requirePrimary refuses a replication connection to a standby, which has the primary's system identifier: a slot made there
// has no snapshot that the primary knows.
func (r *Relay) requirePrimary(ctx context.Context, conn *pgconn.PgConn) error {
	results, err := conn.Exec(ctx, "SELECT pg_is_in_recovery()").ReadAll()
	if err != nil {
		return fmt.Errorf("look whether the replication connection leads to a standby: %w", err)
	}
	if string(results[0].Rows[0][0]) != "t" {
		return nil
	}
	if r.cfg.Database.ReplicationURL != "" {
		return &standbyError{key: "database.replication_url"}
	}
	return &standbyError{key: "database.url"}
}

// slotFault says why the slot can't be gone on with; empty: it can. A slot that is none of ours is an error.
func (r *Relay) slotFault(slot *store.Slot, state *store.State, p *store.Publication, system string) (string, error) {
	switch {
	case slot == nil:
		return "it is missing", nil
	case slot.Plugin == "":
		return "", &ConfigError{
			Fault: fmt.Sprintf("replication slot %q belongs to something else (it is a physical slot, such as a standby's)", r.cfg.Replication.Slot),
			Mend:  "set replication.slot to a name of its own",
		}
	case slot.Plugin != "pgoutput" || slot.Database != r.database:
		return "", &ConfigError{
			Fault: fmt.Sprintf("replication slot %q belongs to something else (plugin %q, database %q)",
				r.cfg.Replication.Slot, slot.Plugin, slot.Database),
			Mend: "set replication.slot to a name of its own",
		}
	case slot.WALStatus == "lost":
		return "the server invalidated it (wal_status is lost: more WAL was kept for it than max_slot_wal_keep_size allows)", nil
	case state == nil:
		return "the outbox was not scanned when it was made", nil
	case state.SystemIdentifier != system:
		return "it was made on another cluster", nil
	case state.PublicationOID != p.OID:
		return "its publication was made anew", nil
	case state.PublicationVersion != "" && state.PublicationVersion != p.Version:
		return "its publication was altered", nil // And may have published too little until it was put back.
	case slot.Confirmed > state.Confirmed: // What is confirmed is written down before.
		return "it is ahead of what was confirmed: somebody else made it anew, or the database lost what it wrote last", nil
	}
	return "", nil
}

// makeSlot makes the slot (anew) and scans the outbox in the snapshot of that moment. A relay that dies in between leaves
// a slot without a state, and the next start begins again.
func (r *Relay) makeSlot(
	ctx context.Context, conn *pgconn.PgConn, old *store.Slot, state *store.State, p *store.Publication, system, why string,
) (*prepared, error) {
	name := r.cfg.Replication.Slot
	if state == nil && old == nil {
		r.log.Info("making the replication slot", "slot", name)
	} else {
		r.log.Warn("the replication slot cannot be gone on with: making it anew and scanning the outbox, so that nothing is lost",
			"slot", name, "publication", r.cfg.Replication.Publication, "reason", why)
		r.metrics.slotsRemade.Inc()
	}
	if err := r.forgetSlot(ctx, old); err != nil {
		return nil, err
	}
	r.setReason(underWay)
	made, err := r.createSlotAloud(ctx, conn)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("slot/after-create")
	r.setReason("scanning the outbox")
	found, err := r.scan(ctx, store.NewSlot{
		Name: name, Snapshot: made.SnapshotName, ConsistentPoint: made.ConsistentPoint,
		SystemIdentifier: system, PublicationOID: p.OID, PublicationVersion: p.Version,
	})
	if err != nil {
		r.dropUnscanned(ctx, conn)
		return nil, err
	}
	failpoint.Hit("slot/after-scan")
	r.log.Info("scanned the outbox", "slot", name, "deliveries_found", found)
	looking, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	fresh, err := store.LoadState(looking, r.db, name)
	if err != nil || fresh == nil {
		return nil, errors.Join(err, errors.New("the state of the slot just made is not there"))
	}
	r.claimer.wakeUp()
	return &prepared{state: *fresh, confirmed: fresh.Confirmed}, nil
}

// scan looks through the outbox in the new slot's snapshot, and returns the number of deliveries found.
func (r *Relay) scan(ctx context.Context, made store.NewSlot) (int64, error) {
	scanner, err := r.db.Acquire(ctx)
	if err != nil {
		return 0, fmt.Errorf("scan the outbox: %w", err)
	}
	defer scanner.Release()
	return store.Scan(ctx, scanner.Conn(), made)
}

// dropUnscanned drops the slot just made: nobody may read it, and the server would keep WAL for it until somebody did. Over
// the connection that leads, so that no other relay's slot of that name is meant.
func (r *Relay) dropUnscanned(ctx context.Context, conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := pglogrepl.DropReplicationSlot(ctx, conn, `"`+r.cfg.Replication.Slot+`"`, pglogrepl.DropReplicationSlotOptions{})
	if err != nil { // The next start makes it anew.
		r.log.Warn("the replication slot was made and not used: the server keeps WAL for it until a relay starts",
			"slot", r.cfg.Replication.Slot, "error", explain(err))
	}
}

// forgetSlot forgets what is known of the slot and drops it, where it is there.
func (r *Relay) forgetSlot(ctx context.Context, old *store.Slot) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if err := store.ForgetState(ctx, r.db, r.cfg.Replication.Slot); err != nil {
		return err
	}
	failpoint.Hit("slot/after-forget")
	if old == nil {
		return nil
	}
	return store.DropSlot(ctx, r.db, r.cfg.Replication.Slot)
}

// startStream begins to read the slot at its confirmed position: 0/0, since any later one skips rows.
func (r *Relay) startStream(ctx context.Context, conn *pgconn.PgConn) error {
	publication := strings.ReplaceAll(pgx.Identifier{r.cfg.Replication.Publication}.Sanitize(), "'", "''")
	err := pglogrepl.StartReplication(ctx, conn, `"`+r.cfg.Replication.Slot+`"`, 0, pglogrepl.StartReplicationOptions{
		Mode:       pglogrepl.LogicalReplication,
		PluginArgs: []string{"proto_version '1'", "publication_names '" + publication + "'"},
	})
	if err != nil {
		return fmt.Errorf("start replication: %w", err)
	}
	return nil
}
