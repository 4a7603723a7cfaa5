package store

import (
	"context"
	"fmt"
	"time"
)

// Place is a database of a cluster. A copy made by restoring a dump is another place; one made file by file, as a standby
// is, is the same.
type Place struct {
	SystemIdentifier string
	DatabaseOID      int64
}

// Home says where the relay belongs and where it is.
type Home struct {
	Place     *Place     // The database that the relay was set up for; nil before that.
	AdoptedAt *time.Time // Since when.
	Here      Place      // This one.
}

// Away says whether this is another database than the one that the relay was set up for: a copy, whose events must not
// be sent again.
func (h Home) Away() bool { return h.Place != nil && *h.Place != h.Here }

var (
	homeSQL       = query("home")
	settleHomeSQL = query("settle_home")
	adoptSQL      = query("adopt")
	placeSQL      = query("place")
)

// FindHome returns where the relay belongs and where it is. Schema outbox must be there.
func FindHome(ctx context.Context, db DB) (Home, error) {
	var h Home
	var system *string
	var database *int64
	err := db.QueryRow(ctx, homeSQL).Scan(&system, &database, &h.AdoptedAt, &h.Here.SystemIdentifier, &h.Here.DatabaseOID)
	if err != nil {
		return h, fmt.Errorf("look up the relay's home: %w", err)
	}
	if system != nil {
		h.Place = &Place{SystemIdentifier: *system, DatabaseOID: *database}
	}
	return h, nil
}

// FindPlace returns which database this is.
func FindPlace(ctx context.Context, db DB) (Place, error) {
	var p Place
	if err := db.QueryRow(ctx, placeSQL).Scan(&p.SystemIdentifier, &p.DatabaseOID); err != nil {
		return p, fmt.Errorf("identify the database: %w", err)
	}
	return p, nil
}

// SettleHome makes this database the relay's home where it has none.
func SettleHome(ctx context.Context, db DB) error {
	if _, err := db.Exec(ctx, settleHomeSQL); err != nil {
		return fmt.Errorf("note the relay's home: %w", err)
	}
	return nil
}

// Adopt makes this database the relay's home, whatever was before.
func Adopt(ctx context.Context, db DB) error {
	if _, err := db.Exec(ctx, adoptSQL); err != nil {
		return fmt.Errorf("adopt this database: %w", err)
	}
	return nil
}
