package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outboxrelay/relay/internal/store"
)

// homeEvery is how often a paused relay looks whether it was adopted.
const homeEvery = 2 * time.Second

// awaitHome pauses while this is another database than the one that the relay was set up for: a restored or cloned one,
// whose events the original has delivered or will. It returns once somebody has adopted it, or at ctx's end.
func (r *Relay) awaitHome(ctx context.Context) error {
	for said := false; ctx.Err() == nil; {
		home, err := store.FindHome(ctx, r.db)
		switch {
		case err != nil && !passing(err):
			return mend(err)
		case err != nil:
			r.setReason("cannot set up: " + explain(err))
		case !home.Away():
			r.home.Store(&home.Here)
			if said {
				r.log.Info("adopted: going on")
			}
			return nil
		default:
			r.setReason(awayFault(home) + "; paused until `relay adopt`")
			if !said {
				said = true
				r.log.Warn("paused: "+awayFault(home)+"; nothing is sent until `relay adopt`", "database", r.database)
			}
		}
		sleep(ctx, homeEvery)
	}
	return ctx.Err()
}

// awayFault says that the relay is not where it was set up.
func awayFault(h store.Home) string {
	what := "another database of the same cluster"
	if h.Place.SystemIdentifier != h.Here.SystemIdentifier {
		what = "a database of another cluster"
	}
	return fmt.Sprintf("this looks like a copy: the relay was set up in %s (system identifier %s, database oid %d; this is %s, %d)",
		what, h.Place.SystemIdentifier, h.Place.DatabaseOID, h.Here.SystemIdentifier, h.Here.DatabaseOID)
}

// stayHome refuses a new connection that leads elsewhere than those before it: a name that was pointed at a copy.
func (r *Relay) stayHome(ctx context.Context, conn *pgx.Conn) error {
	home := r.home.Load()
	if home == nil {
		return nil
	}
	here, err := store.FindPlace(ctx, conn)
	if err != nil {
		return err
	}
	if here != *home {
		return fmt.Errorf("database.url leads to another database than before (system identifier %s, oid %d; was %s, %d)",
			here.SystemIdentifier, here.DatabaseOID, home.SystemIdentifier, home.DatabaseOID)
	}
	return nil
}
