package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/outboxrelay/relay/internal/store"
)

// standby is a standby as its primary sees it.
type standby struct {
	name     string // Its physical slot; empty where it uses none.
	feedback bool   // hot_standby_feedback.
}

// physicalStandbys are the standbys that are connected: through a physical slot, or without, which only a superuser or a
// member of pg_read_all_stats sees.
const physicalStandbys = `
SELECT slot_name::text, xmin IS NOT NULL FROM pg_replication_slots WHERE slot_type = 'physical' AND active
UNION ALL
SELECT '', r.backend_xmin IS NOT NULL FROM pg_stat_replication AS r
 WHERE r.state IN ('catchup', 'streaming') AND NOT EXISTS (SELECT FROM pg_replication_slots AS s WHERE s.active_pid = r.pid)
 ORDER BY 1`

// settingsOfStandby are what a standby needs that its primary cannot see.
const settingsOfStandby = "on the standby, sync_replication_slots = on, and dbname in primary_conninfo"

// failover looks whether the slot outlives the primary, which it can from PostgreSQL 17 on. Before, the outbox is scanned
// after a promotion.
func (c *checker) failover(ctx context.Context) {
	const name = "failover"
	slot := c.cfg.Replication.Slot
	f, err := store.FindFailover(ctx, c.db, slot)
	if err != nil {
		c.broken(name, err)
		return
	}
	if !f.Known {
		return
	}
	if s, err := store.FindSlot(ctx, c.db, slot); err != nil || s == nil {
		return // Said already.
	}
	if !f.Slot {
		c.warn(name, "restart the relay: it switches the slot over",
			"%s is no failover slot: a standby that is promoted has none, and scans the outbox", slot)
		return
	}
	standbys, synchronized, err := c.standbys(ctx)
	switch {
	case err != nil:
		c.broken(name, err)
	case len(standbys) == 0:
		c.ok(name, "%s is a failover slot; no standby is seen", slot)
	default:
		c.standbysReady(slot, standbys, synchronized)
	}
}

func (c *checker) standbys(ctx context.Context) (all []standby, synchronized string, err error) {
	rows, err := c.db.Query(ctx, physicalStandbys)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	for rows.Next() {
		var s standby
		if err := rows.Scan(&s.name, &s.feedback); err != nil {
			return nil, "", err
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, "", err
	}
	err = c.db.QueryRow(ctx, "SELECT current_setting('synchronized_standby_slots')").Scan(&synchronized)
	return all, synchronized, err
}

// standbysReady says what the connected standbys lack.
func (c *checker) standbysReady(slot string, standbys []standby, synchronized string) {
	const name = "failover"
	var lacks, slots []string
	for i, s := range standbys {
		who := s.name
		if who == "" {
			who = fmt.Sprintf("number %d", i+1)
			lacks = append(lacks, "standby "+who+" uses no slot (primary_slot_name)")
		} else {
			slots = append(slots, s.name)
		}
		if !s.feedback {
			lacks = append(lacks, "standby "+who+" gives no feedback (hot_standby_feedback = on)")
		}
	}
	switch {
	case len(lacks) > 0:
		c.warn(name, "set what is missing on the standby, and reload it", "%s is a failover slot, but cannot be synchronised: %s",
			slot, strings.Join(lacks, "; "))
	case synchronized == "":
		c.ok(name, "%s is a failover slot. It also needs, %s. Recommended here: synchronized_standby_slots = '%s', so that nothing is sent "+
			"that a promotion could lose", slot, settingsOfStandby, strings.Join(slots, ","))
	default:
		c.ok(name, "%s is a failover slot; what is sent is on %s already (synchronized_standby_slots). It also needs, %s",
			slot, synchronized, settingsOfStandby)
	}
}
