package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/failpoint"
)

// Slot is a replication slot as the server sees it.
type Slot struct {
	Plugin    string
	Database  string
	Active    bool
	ActivePID int
	WALStatus string // reserved, extended, unreserved or lost.
	Confirmed pglogrepl.LSN
	Restart   pglogrepl.LSN
	LagBytes  int64         // WAL written since the confirmed position.
	ServerUp  time.Duration // Since when the server runs, by the database's clock.
}

var slotSQL = query("slot")

// FindSlot returns the slot of that name, or nil where there is none.
func FindSlot(ctx context.Context, db DB, name string) (*Slot, error) {
	var s Slot
	var confirmed, restart string
	var up float64
	err := db.QueryRow(ctx, slotSQL, name).Scan(
		&s.Plugin, &s.Database, &s.Active, &s.ActivePID, &s.WALStatus, &confirmed, &restart, &s.LagBytes, &up)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		s.Confirmed, err = pglogrepl.ParseLSN(confirmed)
	}
	if err == nil {
		s.Restart, err = pglogrepl.ParseLSN(restart)
	}
	if err != nil {
		return nil, fmt.Errorf("look up replication slot: %w", err)
	}
	s.ServerUp = time.Duration(up * float64(time.Second))
	return &s, nil
}

// DropSlot drops a replication slot that is not active.
func DropSlot(ctx context.Context, db DB, name string) error {
	if _, err := db.Exec(ctx, "SELECT pg_drop_replication_slot($1)", name); err != nil {
		return fmt.Errorf("drop replication slot: %w", err)
	}
	return nil
}

// Blocking returns the server's processes that one waits for; 0 stands for a prepared transaction, which has none.
func Blocking(ctx context.Context, db DB, pid int) ([]int32, error) {
	rows, err := db.Query(ctx, "SELECT DISTINCT b FROM unnest(pg_blocking_pids($1)) AS b ORDER BY 1", pid)
	if err != nil {
		return nil, fmt.Errorf("ask for whom a process waits: %w", err)
	}
	blocking, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, fmt.Errorf("ask for whom a process waits: %w", err)
	}
	return blocking, nil
}

// State is what the relay remembers of its slot.
type State struct {
	SystemIdentifier   string
	DatabaseOID        int64
	PublicationOID     int64
	PublicationVersion string // Empty: unknown, where an earlier version of the program made the slot.
	Scanned            pglogrepl.LSN
	Confirmed          pglogrepl.LSN
	Read               pglogrepl.LSN // No transaction committed here or later was read yet; 0: unknown.
}

var (
	stateSQL         = query("state")
	saveStateSQL     = query("save_state")
	saveConfirmedSQL = query("save_confirmed")
	scanSQL          = query("scan_deliveries")
	scanChangesSQL   = query("scan_changes")
	publicationSQL   = query("publication")
)

// LoadState returns what is remembered of a slot, or nil.
func LoadState(ctx context.Context, db DB, slot string) (*State, error) {
	var s State
	var scanned, confirmed, read string
	err := db.QueryRow(ctx, stateSQL, slot).Scan(
		&s.SystemIdentifier, &s.DatabaseOID, &s.PublicationOID, &scanned, &confirmed, &read, &s.PublicationVersion)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		s.Scanned, err = pglogrepl.ParseLSN(scanned)
	}
	if err == nil {
		s.Confirmed, err = pglogrepl.ParseLSN(confirmed)
	}
	if err == nil {
		s.Read, err = pglogrepl.ParseLSN(read)
	}
	if err != nil {
		return nil, fmt.Errorf("load relay state: %w", err)
	}
	return &s, nil
}

// ForgetState removes what is remembered of a slot, so that the next start makes it anew and scans.
func ForgetState(ctx context.Context, db DB, slot string) error {
	if _, err := db.Exec(ctx, "DELETE FROM outbox.relay_state WHERE slot = $1", slot); err != nil {
		return fmt.Errorf("forget relay state: %w", err)
	}
	return nil
}

// AdoptPublicationVersion notes the version of the publication where none is known. The caller leads.
func AdoptPublicationVersion(ctx context.Context, db DB, slot, version string) error {
	const sql = "UPDATE outbox.relay_state SET publication_version = $2 WHERE slot = $1 AND publication_version IS NULL"
	if _, err := db.Exec(ctx, sql, slot, version); err != nil {
		return fmt.Errorf("note the publication's version: %w", err)
	}
	return nil
}

// SaveConfirmed notes a position that is about to be confirmed.
func SaveConfirmed(ctx context.Context, db DB, slot string, at pglogrepl.LSN) error {
	if _, err := db.Exec(ctx, saveConfirmedSQL, slot, at.String()); err != nil {
		return fmt.Errorf("note confirmed position: %w", err)
	}
	return nil
}

// BeginReading notes that a stream begins: how far it is read is unknown from now on. The caller leads.
func BeginReading(ctx context.Context, db DB, slot string) error {
	if _, err := db.Exec(ctx, "UPDATE outbox.relay_state SET read_lsn = NULL WHERE slot = $1 AND read_lsn IS NOT NULL", slot); err != nil {
		return fmt.Errorf("note that the stream begins: %w", err)
	}
	return nil
}

// EndReading notes that no transaction committed at a position or later was read. It goes over the stream's own connection,
// which has ended its stream in order: while that lives, nobody else leads.
func EndReading(ctx context.Context, conn *pgconn.PgConn, slot string, at pglogrepl.LSN) error {
	sql := "UPDATE outbox.relay_state SET read_lsn = " + quoteLiteral(at.String()) + " WHERE slot = " + quoteLiteral(slot)
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("note how far the stream was read: %w", err)
	}
	return nil
}

// NewSlot is a slot just made: where it begins and the snapshot of that moment.
type NewSlot struct {
	Name               string
	Snapshot           string
	ConsistentPoint    string
	SystemIdentifier   string
	PublicationOID     int64
	PublicationVersion string // Read before the slot was made, as the OID, so that an alteration since is noticed.
}

// Scan looks through the outbox in the new slot's own snapshot: events without deliveries get them, and the state that
// says so is saved, in one transaction. It returns the number of deliveries made.
func Scan(ctx context.Context, conn *pgx.Conn, slot NewSlot) (int64, error) {
	var made int64
	scan := func(tx pgx.Tx) error {
		// The snapshot's name comes from the server; SET takes no parameters.
		if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT "+quoteLiteral(slot.Snapshot)); err != nil {
			return err
		}
		// Where the connection goes silently between two statements, the next scan waits for what this one has written, until then.
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = '10s'"); err != nil {
			return err
		}
		if err := unhurried(ctx, tx); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, scanSQL)
		if err != nil {
			return err
		}
		made = tag.RowsAffected()
		if _, err := tx.Exec(ctx, scanChangesSQL); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, saveStateSQL, slot.Name, slot.SystemIdentifier, slot.PublicationOID, slot.ConsistentPoint,
			slot.PublicationVersion)
		failpoint.Hit("scan/before-commit")
		return err
	}
	err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, scan)
	if err != nil {
		return 0, fmt.Errorf("scan the outbox: %w", err)
	}
	return made, nil
}

// Publication is a publication as it stands.
type Publication struct {
	OID       int64
	Version   string   // Another after any alteration, even one that was put back.
	Inserts   bool     // Publishes inserts.
	Others    bool     // Publishes updates, deletes or truncates as well, or other tables.
	AllTables bool     // Was made FOR ALL TABLES: which they are cannot be changed.
	Filtered  bool     // Leaves rows or columns out, which PostgreSQL 15 and later can.
	Relations []string // Its tables of schema outbox.
}

// FindPublication returns the publication of that name, or nil where there is none.
func FindPublication(ctx context.Context, db DB, name string) (*Publication, error) {
	var p Publication
	err := db.QueryRow(ctx, publicationSQL, name).Scan(&p.OID, &p.Inserts, &p.Others, &p.AllTables, &p.Filtered, &p.Relations, &p.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up publication: %w", err)
	}
	return &p, nil
}

// CreatePublication makes the publication that the relay reads: the inserts of events and of subscription changes.
func CreatePublication(ctx context.Context, db DB, name string) error {
	sql := CreatePublicationSQL(name)
	if _, err := db.Exec(ctx, sql); err != nil {
		return fmt.Errorf("create publication: %w", err)
	}
	return nil
}

// CreatePublicationSQL returns the statement that makes the publication.
func CreatePublicationSQL(name string) string {
	return "CREATE PUBLICATION " + pgx.Identifier{name}.Sanitize() +
		" FOR TABLE outbox.events, outbox.subscription_changes WITH (publish = 'insert')"
}

// RepairSQL returns the statements that turn a publication of that name into one that the relay can use.
func (p *Publication) RepairSQL(name string) []string {
	alter := "ALTER PUBLICATION " + pgx.Identifier{name}.Sanitize() + " SET "
	inserts := alter + "(publish = 'insert')"
	if p.AllTables {
		return []string{inserts}
	}
	return []string{alter + "TABLE outbox.events, outbox.subscription_changes", inserts}
}

// CurrentWAL returns the position up to which WAL has been written.
func CurrentWAL(ctx context.Context, db DB) (pglogrepl.LSN, error) {
	var text string
	if err := db.QueryRow(ctx, "SELECT pg_current_wal_lsn()::text").Scan(&text); err != nil {
		return 0, fmt.Errorf("ask for the WAL position: %w", err)
	}
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		return 0, fmt.Errorf("ask for the WAL position: %w", err)
	}
	return lsn, nil
}
