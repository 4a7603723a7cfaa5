package check

import (
	"context"
	"fmt"
	"strconv"

	"github.com/outboxrelay/relay/internal/store"
)

// muchLag is the WAL behind the slot that is worth a warning: a gibibyte.
const muchLag = 1 << 30

// slot looks at the replication slot, if it is there.
func (c *checker) slot(ctx context.Context) {
	name := c.cfg.Replication.Slot
	s, err := store.FindSlot(ctx, c.db, name)
	if err != nil {
		c.broken("slot", err)
		return
	}
	switch {
	case s == nil:
		c.warn("slot", "relay init   # relay run does it as well", "%s is not there yet", name)
	case s.Plugin != "pgoutput" || s.Database != c.database:
		which := fmt.Sprintf("plugin %q, database %q", s.Plugin, s.Database)
		if s.Plugin == "" {
			which = "it is a physical slot, such as a standby's"
		}
		c.fault("slot", "set replication.slot to a name of its own; or, if nobody needs that slot: SELECT pg_drop_replication_slot('"+name+"');",
			"%s belongs to something else (%s)", name, which)
	case s.WALStatus == "lost":
		c.warn("slot", "relay init   # relay run does it as well: makes it anew and scans the outbox; to keep it next time, raise max_slot_wal_keep_size",
			"%s was invalidated by the server, which kept no more WAL for it; nothing is lost", name)
	case s.LagBytes > muchLag && s.Active:
		c.warn("slot", "relay log --status pending   # shows what waits",
			"%s is %d MiB behind, and a relay reads it", name, s.LagBytes>>20)
	case s.LagBytes > muchLag:
		c.warn("slot", "relay run", "%s is %d MiB behind, and no relay reads it: the server keeps that WAL", name, s.LagBytes>>20)
	case s.Active:
		c.ok("slot", "%s is read by a relay (process %d of the server), %d KiB behind", name, s.ActivePID, s.LagBytes>>10)
	default:
		c.ok("slot", "%s is in place, no relay reads it, %d KiB behind", name, s.LagBytes>>10)
	}
}

// slots looks whether there is room for the relay's slot and walsender.
func (c *checker) slots(ctx context.Context) {
	var slots, usedSlots, senders, usedSenders int
	var ours bool
	err := c.db.QueryRow(ctx, `SELECT current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
		current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication),
		EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1),
		EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active)`, c.cfg.Replication.Slot).
		Scan(&slots, &usedSlots, &senders, &usedSenders, &ours, &c.relaying)
	if err != nil {
		c.broken("free slots", err)
		return
	}
	if usedSlots >= slots && !ours {
		c.fault("free slots", "ALTER SYSTEM SET max_replication_slots = "+strconv.Itoa(slots+10)+
			"; -- and restart the server; or drop a slot that nobody uses", "all %d replication slots are in use", slots)
	} else {
		c.ok("free slots", "%d of %d replication slots in use", usedSlots, slots)
	}
	c.noSender = usedSenders >= senders && !c.relaying
	if c.noSender {
		c.fault("free walsenders", "ALTER SYSTEM SET max_wal_senders = "+strconv.Itoa(senders+10)+"; -- and restart the server",
			"all %d walsenders are in use", senders)
	} else {
		c.ok("free walsenders", "%d of %d walsenders in use", usedSenders, senders)
	}
}

// retainedWAL looks at settings that take a slot away from a relay that is down for long.
func (c *checker) retainedWAL(ctx context.Context) {
	var keep, idle string
	err := c.db.QueryRow(ctx, `SELECT current_setting('max_slot_wal_keep_size'),
		coalesce(current_setting('idle_replication_slot_timeout', true), '0')`).Scan(&keep, &idle)
	if err != nil {
		c.broken("retained WAL", err)
		return
	}
	switch {
	case idle != "0":
		c.warn("retained WAL", "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf(); -- or keep relays from being down for so long",
			"the server drops slots that are idle for %s; events are not lost, but the outbox is scanned anew", idle)
	case keep == "-1":
		c.ok("retained WAL", "without a limit: a relay that is down for long fills the server's disk (max_slot_wal_keep_size)")
	default:
		c.ok("retained WAL", "up to %s (max_slot_wal_keep_size)", keep)
	}
}
