package check

import (
	"context"

	"github.com/outboxrelay/relay/internal/store"
)

// home looks whether this is the database that the relay was set up for.
func (c *checker) home(ctx context.Context) {
	if !c.schema {
		return
	}
	const name = "home"
	home, err := store.FindHome(ctx, c.db)
	switch {
	case err != nil:
		c.broken(name, err)
	case home.Place == nil:
		c.ok(name, "no relay was set up here yet")
	case home.Away():
		c.fault(name, "point database.url at the original; or relay adopt, where events are to be delivered from here",
			"this is a copy of the database that the relay was set up for: nothing is sent from here")
	default:
		c.ok(name, "the relay was set up for this database")
	}
}
