package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/internal/store"
)

// openCatalogue reads the catalogue of event types: from the database, or from relay.yaml alone where no database is
// named.
func (p *program) openCatalogue(ctx context.Context) ([]store.EventType, error) {
	cfg, err := p.settings()
	if err != nil {
		return nil, err
	}
	if cfg.Database.URL == "" {
		p.note("no database is configured: these are the event types of relay.yaml")
		return declaredEventTypes(cfg), nil
	}
	cfg, db, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return p.catalogue(ctx, cfg, db)
}

// catalogue returns the event types that the database has, with those of relay.yaml laid over them as the next start will
// do; a note names those that differ. Before the schema is there, relay.yaml's stand in.
func (p *program) catalogue(ctx context.Context, cfg *config.Config, db store.DB) ([]store.EventType, error) {
	there, err := store.ListEventTypes(ctx, db)
	if errors.Is(err, store.ErrNoCatalogue) {
		p.note("the database has no catalogue yet (`relay init` makes it): these are the event types of relay.yaml")
		return declaredEventTypes(cfg), nil
	}
	if err != nil {
		return nil, err
	}
	types, missing, changed := overlay(there, declaredEventTypes(cfg))
	p.noteOld(missing, "is not in the database yet", "are not in the database yet")
	p.noteOld(changed, "is not what the database has", "are not what the database has")
	return types, nil
}

// noteOld says of which event types the database does not have what relay.yaml says.
func (p *program) noteOld(types []string, one, more string) {
	if len(types) > 0 {
		p.note("relay.yaml's %s %s: `relay run` or `relay init` brings it up to date",
			strings.Join(types, ", "), oneOrMore(len(types), one, more))
	}
}

// note says something on stderr that is no fault.
func (p *program) note(format string, args ...any) {
	_, _ = fmt.Fprintln(p.stderr, "relay: note: "+printable(fmt.Sprintf(format, args...)))
}

func declaredEventTypes(cfg *config.Config) []store.EventType {
	types := make([]store.EventType, len(cfg.EventTypes))
	for i, t := range cfg.EventTypes {
		types[i] = store.EventType{
			Type: t.Type, Description: t.Description, Sample: t.Sample, Schema: string(t.Schema), Declared: true,
		}
	}
	slices.SortFunc(types, byType)
	return types
}

// overlay lays the event types of relay.yaml over the database's, and names those that are missing there or differ.
func overlay(there, declared []store.EventType) (types []store.EventType, missing, changed []string) {
	types = slices.Clone(there)
	for _, want := range declared {
		i := slices.IndexFunc(types, func(t store.EventType) bool { return t.Type == want.Type })
		switch {
		case i < 0:
			types, missing = append(types, want), append(missing, want.Type)
		case types[i].Description != want.Description || types[i].Sample != want.Sample || types[i].Schema != want.Schema:
			types[i], changed = want, append(changed, want.Type)
		}
	}
	slices.SortFunc(types, byType)
	return types, missing, changed
}

func byType(a, b store.EventType) int { return strings.Compare(a.Type, b.Type) }
