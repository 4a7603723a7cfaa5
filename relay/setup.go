package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outboxrelay/relay/internal/store"
)

// SetupReport says what Setup did, a line each.
type SetupReport struct {
	Lines []string
}

func (s *SetupReport) add(format string, args ...any) {
	s.Lines = append(s.Lines, fmt.Sprintf(format, args...))
}

// addDeclared says how many of what relay.yaml declares are in place, if any.
func (s *SetupReport) addDeclared(n int, what string) {
	switch {
	case n == 1:
		s.add("1 %s of relay.yaml is in place", what)
	case n > 1:
		s.add("%d %ss of relay.yaml are in place", n, what)
	}
}

// setUpAll sets everything up, as far as it is missing.
func (r *Relay) setUpAll(ctx context.Context) (SetupReport, error) {
	var report SetupReport
	later, err := store.SchemaLater(ctx, r.db)
	if err != nil {
		return report, err
	}
	switch err := r.applySchema(ctx); {
	case err == nil && later:
		report.add("schema outbox is of a later version than this program, and left as it is")
	case err == nil:
		report.add("schema outbox is in place")
	case hasCode(err, "42501") && r.schemaCurrent(ctx):
		report.add("schema outbox is in place, and another role's")
	default:
		return report, err
	}
	if err := store.SettleHome(ctx, r.db); err != nil {
		return report, err
	}
	home, err := store.FindHome(ctx, r.db)
	if err != nil {
		return report, err
	}
	if home.Away() {
		return report, &ConfigError{Fault: awayFault(home), Mend: "run `relay adopt` if events are to be delivered from here"}
	}
	r.home.Store(&home.Here)
	if err := r.declare(ctx); err != nil {
		return report, err
	}
	report.addDeclared(len(r.cfg.EventTypes), "event type")
	report.addDeclared(len(r.cfg.Subscriptions), "subscription")
	return report, r.setUpSlot(ctx, &report)
}

func (r *Relay) schemaCurrent(ctx context.Context) bool {
	current, err := store.SchemaCurrent(ctx, r.db)
	return err == nil && current
}

// setUpSlot makes publication and slot, unless a running relay has them in use.
func (r *Relay) setUpSlot(ctx context.Context, report *SetupReport) error {
	slot, err := store.FindSlot(ctx, r.db, r.cfg.Replication.Slot)
	if err != nil {
		return err
	}
	if slot != nil && slot.Active {
		report.add("publication %s and slot %s are in use by a running relay", r.cfg.Replication.Publication, r.cfg.Replication.Slot)
		return nil
	}
	conn, err := r.connectReplication(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // Nothing is lost with it.
	err = r.lead(ctx, conn)
	if err == nil {
		_, err = r.prepareSlot(ctx, conn)
	}
	if errors.Is(err, errStandby) {
		report.add("a relay that is starting sees to publication %s and slot %s", r.cfg.Replication.Publication, r.cfg.Replication.Slot)
		return nil
	}
	if err != nil {
		return err
	}
	report.add("publication %s is in place", r.cfg.Replication.Publication)
	report.add("replication slot %s is in place", r.cfg.Replication.Slot)
	return nil
}

// declare keeps what relay.yaml declares in the database: its event types, and its subscriptions.
func (r *Relay) declare(ctx context.Context) error {
	if err := r.declareEventTypes(ctx); err != nil {
		return err
	}
	if !r.cfg.DeclaresSubscriptions() {
		return nil
	}
	declared := make([]store.Declared, len(r.cfg.Subscriptions))
	for i, s := range r.cfg.Subscriptions {
		declared[i] = store.Declared{
			Tenant: s.Tenant, Name: s.Name, URL: s.URL, EventTypes: s.EventTypes, Secret: s.Secret, Headers: s.Headers,
			Limits: store.Limits{Rate: given(s.Rate), Concurrency: given(s.Concurrency), Timeout: given(s.Timeout)},
		}
	}
	made, err := store.Declare(ctx, r.db, declared)
	if err != nil {
		return err
	}
	for _, off := range made.Off { // What waited for it is cancelled: it must not pass unseen.
		r.log.Warn("switched off a subscription that was declared before and is not in this configuration",
			"subscription", off.Name, "tenant", off.Tenant)
	}
	if made.Changed > 0 {
		r.log.Info("brought subscriptions up to what relay.yaml declares", "changed", made.Changed)
	}
	return nil
}

// declareEventTypes keeps the event types that relay.yaml declares in outbox.event_types.
func (r *Relay) declareEventTypes(ctx context.Context) error {
	if !r.cfg.DeclaresEventTypes() {
		return nil
	}
	declared := make([]store.EventType, len(r.cfg.EventTypes))
	for i, t := range r.cfg.EventTypes {
		declared[i] = store.EventType{Type: t.Type, Description: t.Description, Sample: t.Sample, Schema: string(t.Schema)}
	}
	changed, err := store.DeclareEventTypes(ctx, r.db, declared)
	if err != nil {
		return err
	}
	if changed > 0 {
		r.log.Info("brought the catalogue of event types up to what relay.yaml declares", "changed", changed)
	}
	return nil
}

// given returns a limit of relay.yaml, where 0 means that there is none.
func given[T float64 | int | time.Duration](limit T) *T {
	if limit == 0 {
		return nil
	}
	return &limit
}
