package status

import (
	"fmt"
	"time"

	"github.com/outboxrelay/relay/internal/store"
)

// muchLag is the WAL behind the slot that is worth a warning: a gibibyte.
const muchLag = 1 << 30

func (s *Status) add(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// warn adds what somebody should see to, the worst first, each with what mends it.
func (s *Status) warn(relays []store.SeenRelay, slot *store.Slot) {
	if s.Away {
		s.add("this is a copy of the database that the relay was set up for: nothing is sent from here until `relay adopt`")
	}
	s.warnOfRelays(relays)
	s.warnOfSlot(slot)
	if s.Subscriptions.Active == 0 {
		s.add("no subscription is switched on: events go nowhere; `relay subscriptions add` adds one")
	}
}

func (s *Status) warnOfRelays(relays []store.SeenRelay) {
	leader, mine := false, 0
	for _, r := range s.Relays {
		if r.Slot != s.Slot.Name {
			if r.Leads {
				s.add("the relay on %s (process %d) reads slot %s: it sends each event too; give all relays of a database one replication.slot",
					r.Host, r.PID, r.Slot)
			}
			continue
		}
		mine++
		leader = leader || r.Leads
		if !r.Ready && !s.Away {
			s.add("the relay on %s (process %d) is not ready: %s", r.Host, r.PID, r.State)
		}
	}
	switch {
	case mine == 0:
		said := "no relay runs for slot " + s.Slot.Name + ": `relay run` starts one"
		if last := lastSeen(relays, s.Slot.Name); last != nil {
			said += fmt.Sprintf("; the last was on %s, seen %s ago", last.Host, last.SeenAgo.Round(time.Second))
		}
		s.add("%s", said)
	case !leader && !s.Away:
		s.add("no relay reads the stream: nothing new is sent; what the relays say of themselves tells why")
	}
}

func lastSeen(relays []store.SeenRelay, slot string) *store.SeenRelay {
	var last *store.SeenRelay
	for i, r := range relays {
		if r.Slot == slot && (last == nil || r.SeenAgo < last.SeenAgo) {
			last = &relays[i]
		}
	}
	return last
}

func (s *Status) warnOfSlot(slot *store.Slot) {
	switch {
	case slot == nil:
		s.add("replication slot %s is missing: `relay run` makes it, and scans the outbox so that nothing is lost", s.Slot.Name)
	case slot.Plugin == "":
		s.add("replication slot %s belongs to something else (it is a physical slot, such as a standby's): set replication.slot to a name of "+
			"its own", s.Slot.Name)
	case slot.Plugin != "pgoutput" || slot.Database != s.Database:
		s.add("replication slot %s belongs to something else (plugin %q, database %q): set replication.slot to a name of its own",
			s.Slot.Name, slot.Plugin, slot.Database)
	case slot.WALStatus == "lost":
		s.add("replication slot %s was invalidated by the server: `relay run` makes it anew and scans the outbox, so that nothing is lost; "+
			"raise max_slot_wal_keep_size", s.Slot.Name)
	case slot.WALStatus == "unreserved":
		s.add("replication slot %s is about to be invalidated: it is further behind than max_slot_wal_keep_size allows", s.Slot.Name)
	case slot.LagBytes > muchLag:
		s.add("replication slot %s is %d MiB behind", s.Slot.Name, slot.LagBytes>>20)
	}
}
