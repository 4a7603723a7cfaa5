package check

import (
	"context"
	"slices"
	"strings"

	"github.com/outboxrelay/relay/internal/store"
)

// publication looks whether it is there and publishes whole rows of what the relay reads.
func (c *checker) publication(ctx context.Context) {
	if !c.schema {
		return
	}
	name := c.cfg.Replication.Publication
	p, err := store.FindPublication(ctx, c.db, name)
	if err != nil {
		c.broken("publication", err)
		return
	}
	if p == nil {
		c.publicationMissing(ctx, name)
		return
	}
	const then = "; -- the relay then makes its slot anew and scans the outbox"
	repair := strings.Join(p.RepairSQL(name), "; ") + then
	switch {
	case !slices.Contains(p.Relations, "events") || !slices.Contains(p.Relations, "subscription_changes") || !p.Inserts:
		c.fault("publication", repair, "%s does not publish the inserts of outbox.events and outbox.subscription_changes", name)
	case p.Filtered:
		c.fault("publication", repair, "%s has a row filter or a column list: events would be missing", name)
	case p.AllTables:
		c.warn("publication", "DROP PUBLICATION "+quote(name)+"; "+store.CreatePublicationSQL(name)+then,
			"%s publishes all tables, which the relay reads for nothing", name)
	case p.Others:
		c.warn("publication", repair, "%s publishes more than the relay needs, which it reads for nothing", name)
	default:
		c.ok("publication", "%s publishes what it must", name)
	}
}

// publicationMissing looks whether the relay may make it: only the owner of the tables may publish them.
func (c *checker) publicationMissing(ctx context.Context, name string) {
	var may bool
	err := c.db.QueryRow(ctx, `SELECT has_database_privilege(current_database(), 'CREATE')
		AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'outbox.events'::regclass), 'USAGE')
		AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'outbox.subscription_changes'::regclass), 'USAGE')`).Scan(&may)
	create := store.CreatePublicationSQL(name) + ";"
	switch {
	case err != nil:
		c.broken("publication", err)
	case !may:
		c.fault("publication", create+" -- as the owner of schema outbox", "%s is not there yet, and role %s may not make it", name, c.user)
	default:
		c.warn("publication", create+" -- relay init and relay run do it as well", "%s is not there yet", name)
	}
}
