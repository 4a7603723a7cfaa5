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

// catalogue returns the event types that the database has. Before its schema is there, relay.yaml's stand in; where the
// two differ, a note says so.
func (p *program) catalogue(ctx context.Context, cfg *config.Config, db store.DB) ([]store.EventType, error) {
	types, err := store.ListEventTypes(ctx, db)
	if errors.Is(err, store.ErrNoCatalogue) {
		p.note("the database has no catalogue yet (`relay init` makes it): these are the event types of relay.yaml")
		return declaredEventTypes(cfg), nil
	}
	if err != nil {
		return nil, err
	}
	if changed := undeclared(cfg, types); len(changed) > 0 {
		p.note("relay.yaml says otherwise of %s: `relay init` brings it in, as the next start does", strings.Join(changed, ", "))
	}
	return types, nil
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
	slices.SortFunc(types, func(a, b store.EventType) int { return strings.Compare(a.Type, b.Type) })
	return types
}

// undeclared are the event types of relay.yaml that the database does not have as they stand there.
func undeclared(cfg *config.Config, there []store.EventType) []string {
	var names []string
	for _, want := range declaredEventTypes(cfg) {
		same := func(t store.EventType) bool {
			return t.Type == want.Type && t.Description == want.Description && t.Sample == want.Sample && t.Schema == want.Schema
		}
		if !slices.ContainsFunc(there, same) {
			names = append(names, want.Type)
		}
	}
	return names
}
